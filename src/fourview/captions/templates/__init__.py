"""Templates of captions and prompts, as JSON; copy one and edit it to have other words."""
