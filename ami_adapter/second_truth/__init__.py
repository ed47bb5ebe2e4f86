"""The calls of an Asterisk as it wrote them down itself: CDR and CEL, read after a gap (`docs/calls.md`).

`rows` are the records as values, `csv_file` and `tables` read them, `from_cdr` and `from_cel` tell the calls of them.
"""
