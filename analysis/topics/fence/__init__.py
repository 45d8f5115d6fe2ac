"""The topic fence: its figures, measures and claims."""
