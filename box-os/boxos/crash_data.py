"""The data partition after a cut: whether the box's own check of it lets it be mounted, and what it holds then."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from boxos.programs import attempt, run

Files = Mapping[str, bytes]
# what makes a box itself: once shown, the same for ever
IDENTITY = ("machine-id", "riti/identity.key", "riti/overlay.key", "card/claim.jwt", "card/join.json")
# written beside, synced, renamed (ritilib/box/durable.py, ritilib/box/store.py, onbox/machine.py, files/usr/lib/riti);
# all else on the partition is shown and may be lost (agent.json, status.json), or is an unfinished `.new`
_KEPT = (
    *IDENTITY,
    *("rescued", "rauc/slots.json", "rauc/given-up", "rauc/status"),
    *("riti/request.jws", "riti/reply.json", "riti/generation.json", "riti/overlay-trust.json"),
    *("riti/blocked.json", "riti/pbx-generation.json"),
)


def _is_json(content: bytes) -> bool:
    try:
        return isinstance(json.loads(content), dict)
    except ValueError:
        return False


def _is_key(content: bytes) -> bool:
    return content.startswith(b"-----BEGIN") and content.endswith(b"-----\n")


_FORMS: Mapping[str, Callable[[bytes], bool]] = {
    "machine-id": lambda content: re.fullmatch(rb"[0-9a-f]{32}\n", content) is not None,
    "riti/identity.key": _is_key,
    "rauc/slots.json": _is_json,
    "riti/generation.json": _is_json,
    "rescued": lambda content: re.fullmatch(rb"\d+\n", content) is not None,
}


def read_data(card: Path, span: tuple[int, int], work: Path) -> tuple[Files, list[str]]:
    """The files (path → content) of the file system in span of the card, and what is wrong with it.

    It is checked as at the box's start (`e2fsck -p`: the journal is played back; more than that a start does not mend),
    and then in full, with nothing left to mend. The card itself stays as it is.
    """
    data = work / "data.img"
    _copy_span(card, span, data)
    code, said = _check(["e2fsck", "-p", data])
    if code > 1:
        return {}, [f"the data partition is not mounted at a start (e2fsck -p: {code}): {said}"]
    code, said = _check(["e2fsck", "-f", "-n", data])
    wrongs = [f"the data partition's file system is damaged (e2fsck -fn: {code}): {said}"] if code else []
    tree = work / "data"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir()
    run(["debugfs", "-R", f"rdump / {tree}", data])
    return {
        str(path.relative_to(tree)): path.read_bytes()
        for path in sorted(tree.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }, wrongs


def find_form_wrongs(files: Files) -> list[str]:
    """What is there and is not whole: a name that came before its content."""
    return [
        f"{name} holds no such thing: {files[name][:40]!r}"
        for name, is_whole in _FORMS.items()
        if name in files and not is_whole(files[name])
    ]


def find_lost(files: Files, before: Files, after: Files) -> list[str]:
    """What was made last before the cut (before) and is neither there nor its successor (after: at the next flush)."""
    return [
        f"{name} is {'lost' if name not in files else 'neither the old nor the new one'}"
        for name in _KEPT
        if files.get(name) not in (before.get(name), after.get(name))
    ]


def find_changes(files: Files, identity: Files, must_be: bool) -> list[str]:
    """How the box is another than it was; must_be: it had shown who it is."""
    return [
        f"{name} is {'absent' if name not in files else 'another'}"
        for name in identity
        if files.get(name) != identity[name] and (must_be or name in files)
    ]


def _check(argv: list[str | Path]) -> tuple[int, str]:
    done = attempt(argv)
    return done.returncode, " ".join(done.stdout.split())[-500:]


def _copy_span(card: Path, span: tuple[int, int], target: Path) -> None:
    start, size = span
    with card.open("rb") as source, target.open("wb") as copy:
        copy.truncate(size)
        for first, end in _find_written(source.fileno(), start, start + size):
            source.seek(first)
            copy.seek(first - start)
            copy.write(source.read(end - first))


def _find_written(handle: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    while at < end:
        try:
            first = os.lseek(handle, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        if first >= end:
            return
        at = min(end, os.lseek(handle, first, os.SEEK_HOLE))
        yield first, at
