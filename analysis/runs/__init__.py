"""From a run folder to estimated rows."""
