"""What an image must not hold is found, with its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from boxos.bundle import make_keys
from boxos.programs import run
from boxos.secrets import find_secrets, search
from boxos.shipped import read_prime
from ritilib.errors import RitiError

KEY = b"x\n-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49\n"


def test_a_key_is_found_and_a_programs_word_for_one_is_none() -> None:
    assert find_secrets("etc/x", KEY, []) == ["it holds a private key"]
    assert find_secrets("etc/x", KEY.replace(b"BEGIN", b"BEGIN RSA"), []) == ["it holds a private key"]
    assert find_secrets("usr/bin/x", b"-----BEGIN PRIVATE KEY-----\0-----END", []) == []
    assert find_secrets("usr/lib/aarch64-linux-gnu/libgnutls.so.30.42.0", KEY, []) == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n" + b"A" * 40, "a private key"),
        (b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n" + b"A" * 40, "a private key"),
        (b"x eyJ" + b"a" * 30 + b".eyJ" + b"b" * 30 + b"." + b"c" * 86, "a signed token"),
        (b"VAULT_TOKEN=hvs." + b"x" * 30, "a token of Vault's"),
        (b"token: ghp_" + b"a1" * 18 + b"\n", "a token of a forge's"),
        (b"root:$6$saltsalt$" + b"h" * 86 + b":1", "a password's hash"),
        (b"root:$y$j9T$saltsaltsaltsalt$" + b"h" * 43 + b":1", "a password's hash"),
        (b"x:$2b$12$" + b"h" * 53, "a password's hash"),
    ],
)
def test_each_kind_of_secret_is_found(content: bytes, what: str) -> None:
    assert find_secrets("etc/x", content, []) == [f"it holds {what}"]


def test_what_programs_say_of_secrets_is_none() -> None:
    for words in (b"$6$ and $y$ are prefixes", b"eyJ0eXAi.eyJpc3Mi.x", b"hvs.", b"ghp_token"):
        assert find_secrets("usr/lib/libcrypt.so.1", words, []) == []


def test_a_boxs_own_files_and_accounts_with_a_password_are_found() -> None:
    (name,) = find_secrets("data/card/claim.jwt", b"", [])
    assert "claim.jwt belongs to one box alone" in name
    assert find_secrets("usr/lib/python3/dist-packages/ritilib/box/identity.py", b"", []) == []
    assert find_secrets("etc/shadow", b"root:*:1::::::\nx:!:1::::::\n", []) == []
    (open_one,) = find_secrets("etc/shadow", b"root:*:1::::::\nguest::1::::::\n", [])
    assert open_one == "guest can log in by a password"


def test_the_signing_keys_number_is_the_one_that_its_file_has(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys")
    prime = read_prime(tmp_path / "keys/signing.key.pem")
    der = run(["openssl", "rsa", "-in", tmp_path / "keys/signing.key.pem", "-text", "-noout"])
    assert prime.hex() in der.replace(":", "").replace("\n", "").replace(" ", "")


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
