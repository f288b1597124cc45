"""Nomad, Consul and Vault in memory; tests/contract holds each to what the real one does."""
