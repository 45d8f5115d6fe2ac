"""The topic lock: its figures, measures and claims."""
