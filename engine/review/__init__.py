"""What reviewers decided, and what follows from it."""
