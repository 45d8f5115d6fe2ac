"""The topic branch: its figures, measures and claims."""
