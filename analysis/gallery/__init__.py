"""Published runs and their pages."""
