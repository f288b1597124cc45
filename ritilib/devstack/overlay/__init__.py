"""The overlay's laboratory: members behind routers of every kind, all of it in network namespaces of its own."""
