"""Notes: what the lessons of a workspace have in common, as a page that people edit and actors read."""
