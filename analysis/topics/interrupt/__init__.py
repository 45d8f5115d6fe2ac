"""The topic interrupt: its figures, measures and claims."""
