"""The image of a box's agent: Python and RITI, and beside them the box's Asterisk, for trials of configurations.

A package of its own, as the other images are known by the hash of the modules beside theirs.
"""

from ritilib.devstack.images.agent.build import IMAGE, USER_ID, build_agent

__all__ = ["IMAGE", "USER_ID", "build_agent"]
