"""One's own shift: begun, paused, ended."""
