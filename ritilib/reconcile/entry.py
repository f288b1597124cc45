"""How an entry in Consul that people may look at is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def encode_entry(value: Mapping[str, Any]) -> bytes:
    """A value of ours as JSON, the same bytes for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()
