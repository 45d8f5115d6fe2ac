"""Estimation from numbers alone: no run folder, no pandas."""
