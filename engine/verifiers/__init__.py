"""Who judges which step is wrong."""
