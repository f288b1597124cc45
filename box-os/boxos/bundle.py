"""The signed bundle by which boxes are updated, and the keys that it is signed by."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from boxos.manifest import BOOT_IMAGE, ROOT_IMAGE, write_manifest
from boxos.programs import run
from boxos.recipe import Recipe
from ritilib.errors import RitiError

KEY, CERTIFICATE = "signing.key.pem", "signing.pem"
_DAYS = 3650
_EXTENSIONS = (
    "[req]\ndistinguished_name=name\nprompt=no\nx509_extensions=ext\n[name]\nCN=RITI box images\n[ext]\n"
    "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign\n"
    "extendedKeyUsage=critical,codeSigning\nsubjectKeyIdentifier=hash\n"
)


def make_keys(folder: Path) -> None:
    """A key and its certificate in folder, which must be kept out of Git and off machines that build for others.

    RSA: its signature has the same bytes each time, so that a bundle has. RitiError where folder has one: boxes in use
    take nothing that another key signed.
    """
    if (folder / KEY).exists():
        raise RitiError.because(f"{folder / KEY} is there already", "name another folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings = folder / "signing.cnf"
    settings.write_text(_EXTENSIONS)
    old = os.umask(0o077)
    try:
        words = ["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256", "-days", str(_DAYS)]
        run(["openssl", *words, "-config", settings, "-keyout", folder / KEY, "-out", folder / CERTIFICATE])
    finally:
        os.umask(old)
        settings.unlink()


def make_bundle(recipe: Recipe, boot: Path, root: Path, keys: Path, target: Path, made: str) -> None:
    """A signed bundle at target; RitiError where folder keys has no key."""
    if not (keys / KEY).is_file():
        raise RitiError.because(f"there is no key in {keys}", "make one: python -m boxos keys")
    content = target.parent / "content"
    content.mkdir()
    shutil.copyfile(boot, content / BOOT_IMAGE)
    shutil.copyfile(root, content / ROOT_IMAGE)
    (content / "manifest.raucm").write_text(write_manifest(recipe, made))
    words = [f"--cert={keys / CERTIFICATE}", f"--key={keys / KEY}"]
    run(["rauc", *words, "bundle", content, target])
