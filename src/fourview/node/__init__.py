"""The node: studies of a PACS in, results out, unattended (docs/node.md). Research use only."""
