"""One folder per page: its routes, its templates, the fragments it shows."""
