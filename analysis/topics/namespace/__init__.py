"""The topic namespace: its figures, measures and claims."""
