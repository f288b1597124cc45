"""What the benchmarks of a whole fleet share: fleets of any size, and servers that take their jobs."""
