"""From samples to the files that trainers read."""
