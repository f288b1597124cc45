"""Benchmarks: figures for people and machines, next to a floor or a peer measured in the same run."""
