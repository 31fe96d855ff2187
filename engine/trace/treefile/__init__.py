"""The original's tree file, `search_results_ID.json`."""
