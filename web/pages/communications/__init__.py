"""Communications of every kind: their list, one of them, and writing one down by hand."""
