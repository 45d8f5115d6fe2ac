"""The topic process: its figures, measures and claims."""
