"""The topic schedule: its figures, measures and claims."""
