"""Words: what a caption names, whether it is one thing, and where it stands."""
