"""The topic kernel: its figures, measures and claims."""
