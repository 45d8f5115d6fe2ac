"""The topic noise: its figures, measures and claims."""
