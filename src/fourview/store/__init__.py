"""Processed pixels on disk: made of a manifest's files, kept as Zarr, read by the patch."""
