"""Any Gymnasium environment with text actions and observations."""
