"""The revision screen."""
