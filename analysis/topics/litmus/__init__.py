"""The topic litmus: its figures, measures and claims."""
