"""What is rendered today is, byte for byte, what was reviewed."""

from __future__ import annotations

import pytest

from ritilib.gitops.diff import compare, read_rendered_tree
from tests.golden.update import HERE, list_cases, render_case


def test_there_are_cases() -> None:
    assert list_cases() == ["one-box", "two-companies", "whole-company"]


@pytest.mark.parametrize("case", list_cases())
def test_the_tree_is_as_it_was_reviewed(case: str) -> None:
    assert compare(read_rendered_tree(HERE / case), render_case(case)) == ()


@pytest.mark.parametrize("case", list_cases())
def test_twice_the_same_bytes(case: str) -> None:
    assert render_case(case) == render_case(case)
