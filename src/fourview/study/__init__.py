"""Several runs that belong together: chains, folds, searches, published tables, the demo."""
