"""What training stages read: one kind of sample a file, found by its file name."""
