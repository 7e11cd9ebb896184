"""What must hold for every replay, recomputed from what the public API gives."""
