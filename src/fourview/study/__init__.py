"""Several runs as one piece of work: chains, folds, searches, published tables, the demo."""
