"""The Python API as a user's script sees it."""
