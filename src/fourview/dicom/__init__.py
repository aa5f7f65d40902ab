"""A file -> Image; files -> Exams; which files are no mammograms to read, and why."""
