"""The topic perf: its figures, measures and claims."""
