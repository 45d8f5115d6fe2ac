"""The topic cgroup: its figures, measures and claims."""
