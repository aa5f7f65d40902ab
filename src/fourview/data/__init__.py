"""Data sets become manifests, stores and batches: sources, splits, checks, sampling, collating."""
