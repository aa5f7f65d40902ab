"""Parts that two families use: encoders, attention, heads, activation maps."""
