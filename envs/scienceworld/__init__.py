"""ScienceWorld, the real simulator."""
