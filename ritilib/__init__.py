"""RITI: many small Asterisk telephone systems, described in YAML and run by Nomad, Consul and Vault."""
