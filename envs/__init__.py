"""Text environments. Importable without the engine and without a terminal."""
