"""From pairs and lessons to samples: splice, tail, thought, replay verdict."""
