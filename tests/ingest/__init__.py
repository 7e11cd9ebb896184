"""From files and frames to columns: what is read, and what is refused with which words."""
