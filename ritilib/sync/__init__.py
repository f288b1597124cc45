"""The controller: reads the wish and the world, lets `reconcile` decide, writes what it decided."""
