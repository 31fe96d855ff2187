"""What is particular to terminals: glyphs, colours, clipboard, control characters."""
