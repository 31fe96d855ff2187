"""The search: algorithms, draws, steps, control, and the job that runs them."""
