"""The dataset screen."""
