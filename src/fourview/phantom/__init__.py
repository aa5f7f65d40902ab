"""Procedural breasts with perfect truth: two-view consistent exams as arrays and as DICOM files."""
