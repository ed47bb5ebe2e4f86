"""The dial pad of the bottom bar, and whom a call can be passed on to."""
