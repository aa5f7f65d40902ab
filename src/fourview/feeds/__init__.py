"""What a network reads: samples, their pixels and targets, joined to batches."""
