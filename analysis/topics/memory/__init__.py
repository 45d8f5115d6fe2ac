"""The topic memory: its figures, measures and claims."""
