"""The topic ipc: its figures, measures and claims."""
