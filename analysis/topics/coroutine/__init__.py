"""The topic coroutine: its figures, measures and claims."""
