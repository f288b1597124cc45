"""From a Fleet to the very files that run: pure, the same bytes for the same fleet."""
