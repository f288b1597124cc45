"""Whether a node lets a PBX end with its last call."""

from __future__ import annotations

import pytest

from ritilib.clients.nomad_values import TemplateRetries, read_duration_s
from ritilib.sync.lead.bootstrap import judge_ends


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1h", 3600), ("1h30m0s", 5400), ("30s", 30), ("1.5m", 90), ("250ms", 0.25), ("", None), ("soon", None)],
)
def test_a_duration_is_read_as_go_writes_it(text: str, seconds: float | None) -> None:
    assert read_duration_s(text) == seconds


def test_a_node_that_would_cut_a_call_is_told_of() -> None:
    nodes = [TemplateRetries(f"n{number}", 0, 0, 0, ends) for number, ends in enumerate((30.0, 3600.0, None))]
    [warning] = judge_ends(nodes)
    assert "node n0 ends a PBX 30 s after" in warning
    assert 'max_kill_timeout = "1h"' in warning
