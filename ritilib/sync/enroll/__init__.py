"""The controller's end of enrollment: what the servers need for it, and the registry that binds boxes to their keys."""
