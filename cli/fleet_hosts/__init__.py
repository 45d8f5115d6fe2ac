"""Measuring on many machines: what `fencepost fleet` does here, and the Ansible role that does the rest there."""
