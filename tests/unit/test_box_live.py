"""A box's live value: what is not whole, not right or lacks a secret is refused, with every reason at once."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import Any

import pytest

from ritilib.box.live import (
    MOST_BYTES,
    MOST_PLAIN_BYTES,
    START_FILE,
    Live,
    compose_configuration,
    understand_live,
)
from ritilib.errors import GitopsError
from ritilib.reconcile.box_value import choose_box_files, encode_box_value, hash_box_files
from tests.golden.update import list_cases, render_case

FILES = {
    "etc/asterisk.conf": "[options]\n",
    "etc/extensions.conf": "[from-phone]\nexten => 1,1,Hangup(16)\n",
    "etc/iax.conf": "[cloud](cloud-secret)\ntype=friend\n",
    "etc/modules.conf": "[modules]\n",
    "etc/pjsip.conf": "[phone-101-auth](phone-101-secret)\nusername=phone-101\n",
    "overlay.yml": "pki:\n  ca: /overlay/ca.crt\n",
    "adapter/cfg000b82aabbcc.xml": "<P34>@phone-101-secret@</P34>\n",
}
SECRETS = {"iax": {"cloud": "c10ud"}, "phones": {"101": "pass101"}}


def write_value(files: dict[str, Any] | None = None, **changes: Any) -> bytes:
    files = FILES if files is None else files
    said = {
        "format": 1,
        "secrets_version": 3,
        "sha256": hash_box_files(files),
        "commit": "abc",
        "files": files,
    }
    return gzip.compress(json.dumps(said | changes).encode(), mtime=0)


def refuse(value: bytes) -> str:
    with pytest.raises(GitopsError) as refused:
        understand_live(value)
    return str(refused.value)


def test_a_whole_value_is_understood() -> None:
    live = understand_live(write_value())
    assert (live.sha256, live.secrets_version, live.commit) == (hash_box_files(FILES), 3, "abc")
    assert live.files == FILES


def test_the_hash_is_that_of_canonical_json() -> None:
    text = '{"a": "ñ", "b": "1"}'
    assert hash_box_files({"b": "1", "a": "ñ"}) == hashlib.sha256(text.encode()).hexdigest()


def test_every_rendered_box_is_understood() -> None:
    seen = 0
    for case in list_cases():
        tree = render_case(case)
        for path in tree:
            if not path.endswith("/box/overlay.yml"):
                continue
            folder = path.removesuffix("box/overlay.yml")
            unit = {one.removeprefix(folder): text for one, text in tree.items() if one.startswith(folder)}
            files = choose_box_files(unit)
            live = understand_live(encode_box_value(files, 7, "c0ffee"))
            assert live == Live(hash_box_files(files), 7, "c0ffee", files)
            seen += 1
    assert seen >= 8


@pytest.mark.parametrize("length", range(0, len(write_value()), 3))
def test_a_value_that_was_cut_short_is_refused(length: int) -> None:
    assert "only the beginning" in refuse(write_value()[:length])


def test_a_value_that_is_damaged_or_has_more_behind_it_is_refused() -> None:
    whole = write_value()
    damaged = bytearray(whole)
    damaged[len(whole) // 2] ^= 0xFF
    for value in (bytes(damaged), b"{}", b"x" * 100):
        assert refuse(value)
    assert "more behind it" in refuse(whole + b"x")


def test_a_value_that_grows_without_end_is_not_unpacked() -> None:
    assert "bytes unpacked" in refuse(gzip.compress(b" " * (MOST_PLAIN_BYTES + 1)))


def test_a_changed_file_is_refused() -> None:
    changed = FILES | {"etc/extensions.conf": "[from-phone]\n"}
    assert "not those of its sha256" in refuse(write_value(changed, sha256=hash_box_files(FILES)))


def test_all_that_is_wrong_with_the_schema_is_said_at_once() -> None:
    files: dict[str, Any] = {path: text for path, text in FILES.items() if path != "etc/iax.conf"}
    files |= {"etc/../x.conf": "", "/etc/passwd": "", "bin/sh": "", "etc/a.conf": 7, "etc/b.conf": "\0"}
    said = refuse(write_value(files, format=2, secrets_version=True, sha256="0" * 63, more=1, commit=None))
    for words in (
        "format 2, and this box reads 1",
        "`secrets_version` is of another kind",
        "`sha256` is no SHA-256",
        "`more` is no key",
        "`commit` is of another kind",
        "etc/iax.conf: is missing",
        "etc/../x.conf: is no file of a box",
        "/etc/passwd: is no file of a box",
        "bin/sh: is no file of a box",
        "etc/a.conf: is no text",
        "etc/b.conf: holds a NUL",
    ):
        assert words in said
    assert len(said.splitlines()) == 11


@pytest.mark.parametrize("value", [b"[]", b"7", b'"x"', b"null", b"{}", b'{"files": []}'])
def test_what_is_no_value_at_all_is_refused(value: bytes) -> None:
    assert refuse(gzip.compress(value))


def test_a_value_longer_than_consul_keeps_is_refused_unread() -> None:
    assert "more than Consul keeps" in refuse(b" " * (MOST_BYTES + 1))


def test_a_configuration_has_the_secrets_in_it() -> None:
    made = compose_configuration(understand_live(write_value()), SECRETS, 4)
    assert made.asterisk["iax.conf"].startswith("; secrets version 4\n[cloud-secret](!)\nsecret=c10ud\n")
    assert made.adapter == {"cfg000b82aabbcc.xml": "<P34>pass101</P34>\n"}
    assert made.overlay == FILES["overlay.yml"]
    assert made.identity == f"{hash_box_files(FILES)[:32]}-4"
    plain = hashlib.sha256(FILES["etc/iax.conf"].encode()).hexdigest()
    assert made.acknowledged["iax.conf"] == plain
    # a company without menus has no words, and the watcher acknowledges that there are none
    assert sorted(made.acknowledged) == ["extensions.conf", "iax.conf", "pjsip.conf", "words.txt"]
    assert "c10ud" not in repr(made) and "pass101" not in repr(made)


def test_only_what_asterisk_reads_at_its_start_moves_the_start() -> None:
    def find_start(path: str, text: str) -> str:
        made = compose_configuration(understand_live(write_value(FILES | {path: text})), SECRETS, 3)
        assert made.asterisk[START_FILE] == made.start + "\n"
        return made.start

    before = find_start("etc/modules.conf", FILES["etc/modules.conf"])
    assert find_start("etc/extensions.conf", "[from-phone]\n") == before
    assert find_start("overlay.yml", "pki: {}\n") == before
    assert find_start("etc/modules.conf", "[modules]\nload = app_dial.so\n") != before
    assert find_start("etc/rtp.conf", "[general]\n") != before
    # a reload leaves the socket where it is
    assert find_start("etc/iax.conf", FILES["etc/iax.conf"] + "bindaddr=100.80.0.9\n") != before
    assert find_start("etc/iax.conf", FILES["etc/iax.conf"] + "qualify=500\n") == before


def test_every_missing_secret_of_every_file_is_said_and_none_is_shown() -> None:
    live = understand_live(write_value())
    with pytest.raises(GitopsError) as refused:
        compose_configuration(live, {"iax": {}, "phones": {"102": "other102"}}, 2)
    said = str(refused.value)
    assert "version 2, and the value needs 3" in said
    assert "[cloud-secret]" in said and "[phone-101-secret]" in said and "adapter/cfg" in said
    assert "other102" not in said
