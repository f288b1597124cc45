"""A log of writes is read as QEMU writes it: its head, its requests in their order, their data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from boxos.write_log import DISCARD, FLUSH, FUA, MAGIC, SUPER, VERSION, read_log
from ritilib.errors import RitiError
from tests.boxos.crashing import Request, write_log


def test_requests_come_in_their_order_with_their_data(tmp_path: Path) -> None:
    first, second = os.urandom(1024), os.urandom(512)
    log = write_log(tmp_path / "log", [Request(4096, first), None, Request(512, second, FUA), None])
    entries, sector = read_log(log)
    assert sector == 512
    assert [(one.start, one.size, one.flags) for one in entries] == [
        (4096, 1024, 0),
        (0, 0, FLUSH),
        (512, 512, FUA),
        (0, 0, FLUSH),
    ]
    assert [one.is_flush for one in entries] == [False, True, False, True] and entries[2].is_fua
    with log.open("rb") as stream:
        assert entries[0].read(stream.fileno(), 0, 1024) == first
        assert entries[0].read(stream.fileno(), 512, 512) == first[512:]
        assert entries[2].read(stream.fileno(), 0, 512) == second


def test_what_was_discarded_has_no_data_in_the_log(tmp_path: Path) -> None:
    after = os.urandom(512)
    requests = [Request(0, bytes(2048), DISCARD), Request(8192, after), None]
    log = write_log(tmp_path / "log", requests)
    entries, _ = read_log(log)
    with log.open("rb") as stream:
        assert entries[0].read(stream.fileno(), 0, 2048) == bytes(2048)
        assert entries[1].read(stream.fileno(), 0, 512) == after


def test_what_came_behind_the_last_flush_is_not_given(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [Request(0, bytes(512)), None, Request(512, bytes(512))])
    entries, _ = read_log(log)
    assert len(entries) == 2 and entries[-1].is_flush


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "no flush"),
        (bytes(4096), "no flush"),
        (SUPER.pack(MAGIC + 1, VERSION, 0, 512), "no log of writes"),
        (SUPER.pack(MAGIC, VERSION + 1, 0, 512), "no log of writes"),
        (SUPER.pack(MAGIC, VERSION, 1, 512), "ends before entry 0"),
        (SUPER.pack(MAGIC, VERSION, 1, 512).ljust(512, b"\0") + b"\xff" * 512, "has flags"),
    ],
)
def test_what_is_no_such_log_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(RitiError, match=why):
        read_log(tmp_path / "log")
