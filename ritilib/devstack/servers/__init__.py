"""How each server of the stack is configured, started and made ready."""
