"""The topic clock: its figures, measures and claims."""
