"""The box at an office: its configuration, put together from what was rendered and what Vault holds."""
