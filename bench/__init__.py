"""Benchmarks: ratios against a floor measured in the same run, printed as a table; never timed tests."""
