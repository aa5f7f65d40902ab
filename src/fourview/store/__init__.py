"""Processed pixels on disk: made from a manifest, kept as Zarr, read whole or in patches."""
