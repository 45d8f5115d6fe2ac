"""The topic line: its figures, measures and claims."""
