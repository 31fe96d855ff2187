"""Which good and bad trajectories are paired, in which order, and how many."""
