"""Predictions table, manifest and protocol in; numbers with intervals out. No torch."""
