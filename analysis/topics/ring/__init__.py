"""The topic ring: its figures, measures and claims."""
