"""Import: a file of clients becomes parties, with every check that a form makes, undone if it was a mistake.

The way of a row: `files` reads it (in a child process), `cells` understands it (there too), `resolving` says whose it is by
what `looking` found, `sheets` what it becomes as rows, `writing` stores it with a few hundred others by the statements of `storing`;
`batches` holds a batch together and `jobs` the whole.
"""
