"""One test per rule of the semantics: a trace of a few lines, and the exact rows it leads to."""
