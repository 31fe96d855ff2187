"""The folder that holds traces, runs, decisions and exports."""
