"""From a predictions table, a manifest and a protocol's name to numbers with intervals. No torch."""
