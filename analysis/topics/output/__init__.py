"""The topic output: its figures, measures and claims."""
