"""The controller's image: Python, RITI itself, Git, SSH, nebula-cert; no package manager, and no right of root.

A package of its own, as the other images are known by the hash of the modules beside theirs.
"""

from ritilib.devstack.images.controller.build import IMAGE, build_controller

__all__ = ["IMAGE", "build_controller"]
