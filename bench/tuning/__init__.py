"""Settings of the machine that a command gets for its time, and that go back afterwards."""
