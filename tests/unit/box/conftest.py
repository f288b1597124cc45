"""The servers of a box that is in, in memory, and the tokens that it has of them."""

from __future__ import annotations

import pytest

from ritilib.box.own import Access, Document
from tests.fakes.own import FakeOwn
from tests.unit.test_box_live import SECRETS


@pytest.fixture
def servers() -> FakeOwn:
    return FakeOwn(Document(3, SECRETS))


@pytest.fixture
def access(servers: FakeOwn) -> Access:
    made = Access(lambda: servers, lambda: True)
    made.certify()
    return made
