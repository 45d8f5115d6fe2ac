"""The topic pipeline: its figures, measures and claims."""
