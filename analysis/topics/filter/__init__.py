"""The topic filter: its figures, measures and claims."""
