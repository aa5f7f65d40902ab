"""The one training loop: optimisers, schedules, checkpoints, the run folder."""
