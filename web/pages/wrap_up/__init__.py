"""After a talk: the form of what came of it, and the talks that were not wrapped up."""
