"""What everything else uses: errors, files, an append-only log, the parts of an answer."""
