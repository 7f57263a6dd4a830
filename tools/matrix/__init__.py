"""The same numbers on every machine that this one can imitate: `make test-matrix`."""
