"""The command `fencepost`: the only room that knows both bench and analysis."""

if __name__ != "fencepost.cli":
    raise ImportError(f"import fencepost.cli, not {__name__}: the folder is a part of the package fencepost")
