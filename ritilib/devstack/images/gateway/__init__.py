"""The gateway's image: HAProxy and its libraries; no shell, no package manager, and no right of root.

A package of its own, as the other images are known by the hash of the modules beside theirs.
"""

from ritilib.devstack.images.gateway.build import IMAGE, build_gateway
from ritilib.devstack.images.gateway.debian import unpack_haproxy

__all__ = ["IMAGE", "build_gateway", "unpack_haproxy"]
