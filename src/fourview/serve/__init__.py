"""The reading room: exams, a cohort or a reader study in a browser, pixel for pixel."""
