"""Consul and OpenBao for all tests of this folder."""

from __future__ import annotations

from tests.enroll.conftest import fleet, light

__all__ = ["fleet", "light"]
