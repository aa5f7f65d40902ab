"""Behind docs/results: declarations of studies, and the functions that they name."""
