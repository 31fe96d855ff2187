"""The fold: what each event makes of a tree."""
