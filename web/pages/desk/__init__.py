"""The desk: what is going on now, and the latest calls."""
