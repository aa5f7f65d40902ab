"""What training stages read: one kind of sample per file, known by the file's name."""
