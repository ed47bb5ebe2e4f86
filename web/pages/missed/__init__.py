"""Callers who were missed: the list, one of them, what is done about them."""
