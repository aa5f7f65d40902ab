"""One file per family, one function per run, which says why it exists and cites its numbers."""
