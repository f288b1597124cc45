"""The authorities of the overlay: how Vault holds them, and how one takes the place of another."""
