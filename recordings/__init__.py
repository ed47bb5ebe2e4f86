"""The audio of calls: fetch, store, convert, stream, expire. Empty until its issue comes."""
