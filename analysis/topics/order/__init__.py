"""The topic order: its figures, measures and claims."""
