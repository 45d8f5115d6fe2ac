"""The topic signal: its figures, measures and claims."""
