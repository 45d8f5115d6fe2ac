"""The topic runqueue: its figures, measures and claims."""
