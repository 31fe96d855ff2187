"""Reading what a model answered: thought, action, thinking, in every dress."""
