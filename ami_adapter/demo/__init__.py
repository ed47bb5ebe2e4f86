"""A PBX in the box: an AMI server that plays recorded real calls, for demonstrations, tests and benchmarks."""
