"""Administration: connections, lines, extensions, users, numbers, tokens; each page a module of its own."""
