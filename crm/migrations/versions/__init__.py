"""The database's history: one file per change, never edited once released."""
