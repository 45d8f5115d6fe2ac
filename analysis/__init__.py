"""From run folders to estimates, verdicts, figures and reports. Starts no kernel."""

if __name__ != "fencepost.analysis":
    raise ImportError(f"import fencepost.analysis, not {__name__}: the folder is a part of the package fencepost")
