"""Commands over many tasks: collect, compare, eval, notes."""
