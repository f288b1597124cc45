"""Texts held compressed: what comes out is what went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritilib.gitops.pack import PACK_BYTES, pack_texts

TEXTS = st.dictionaries(
    st.text(max_size=4), st.dictionaries(st.text(max_size=3), st.text(max_size=9), max_size=4)
)


@given(TEXTS)
def test_every_text_comes_back(units: dict[str, dict[str, str]]) -> None:
    assert pack_texts(units) == units


def test_units_that_are_long_are_not_packed_together() -> None:
    units = {str(number): {"job": f"{number} " + "x" * (PACK_BYTES // 2)} for number in range(3)}
    assert pack_texts(units) == units


def test_a_path_that_is_not_there_is_no_text() -> None:
    [texts] = pack_texts({"acme/salto": {"job": "ñ"}}).values()
    assert "job" in texts and "secrets" not in texts and texts.get("secrets") is None
    with pytest.raises(KeyError, match="secrets"):
        texts["secrets"]
    assert repr(texts) == "Texts(job)"
