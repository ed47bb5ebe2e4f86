"""The calls of this moment, kept fresh over the socket."""
