"""The topic alloc: its figures and claims."""
