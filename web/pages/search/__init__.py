"""The search over everything: the field above each page."""
