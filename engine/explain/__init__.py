"""What a screen or a report says of a search: why, when, how trajectories differ."""
