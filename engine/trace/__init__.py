"""Files that hold trees: traces and the original's tree files."""
