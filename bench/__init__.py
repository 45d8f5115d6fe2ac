"""From a plan to a run folder: catalogue, topology, placement, worker processes. Knows no pandas."""

if __name__ != "fencepost.bench":
    raise ImportError(f"import fencepost.bench, not {__name__}: the folder is a part of the package fencepost")
