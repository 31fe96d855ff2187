"""Rounds of collecting, learning and evaluating: the record of what was done, and the commands of the user's own."""
