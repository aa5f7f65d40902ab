"""Image -> ProcessedImage: window, orient, mask, crop, resize; deterministic and recorded."""
