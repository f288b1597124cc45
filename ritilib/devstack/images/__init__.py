"""The container images: Asterisk for a PBX and for a box, the overlay with its gate, the pause program."""

from ritilib.devstack.images.build import build_images

__all__ = ["build_images"]
