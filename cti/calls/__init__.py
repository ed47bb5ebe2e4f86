"""The call domain: channel events in, call events out; pure values and functions, no I/O."""
