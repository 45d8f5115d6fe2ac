"""The topic counter: its figures, measures and claims."""
