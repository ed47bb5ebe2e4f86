"""The call core: numbers, calls, the desk and the daemon."""
