"""What an image must not hold is found, with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxos.secrets import find_secrets, search
from ritilib.errors import RitiError

KEY = b"x\n-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n"


def test_a_key_is_found_and_a_programs_word_for_one_is_none() -> None:
    assert find_secrets("etc/x", KEY, []) == ["it holds a private key"]
    assert find_secrets("etc/x", KEY.replace(b"BEGIN", b"BEGIN RSA"), []) == ["it holds a private key"]
    assert find_secrets("usr/bin/x", b"-----BEGIN PRIVATE KEY-----\0-----END", []) == []
    assert find_secrets("usr/lib/aarch64-linux-gnu/libgnutls.so.30.42.0", KEY, []) == []


def test_all_is_told_at_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "key").write_bytes(KEY)
    (tree / "path").write_bytes(b"built in /home/somebody/riti")
    (tree / "link").symlink_to("/home/somebody/riti")
    (tree / "open").write_bytes(b"")
    (tree / "open").chmod(0o666)
    (tree / "tmp").mkdir()
    (tree / "tmp").chmod(0o1777)
    with pytest.raises(RitiError) as refused:
        search(tree, [Path("/home/somebody")])
    assert [problem.file for problem in refused.value.problems] == ["key", "open", "path"]
    (tree / "open").chmod(0o644)
    for name in ("key", "path"):
        (tree / name).unlink()
    search(tree, [Path("/home/somebody")])
