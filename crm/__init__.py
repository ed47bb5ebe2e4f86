"""People and what happened with them; the only package with SQL."""
