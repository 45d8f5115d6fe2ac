"""Sides, runs and machines compared."""
