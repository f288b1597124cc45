"""The command `riti`: each part parses, calls one function, and prints."""
