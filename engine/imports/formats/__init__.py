"""One module a format: `evaluation` (harnesses that grade agents), `training` (reinforcement learning), `coding`."""
