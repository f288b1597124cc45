"""The local stack: Nomad, Consul, OpenBao and Docker on one machine, for trying and for testing."""
