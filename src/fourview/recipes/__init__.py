"""One file a family, one function a run; each says why the run exists and cites its numbers."""
