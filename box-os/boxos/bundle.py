"""The signed bundle by which boxes are updated, and the keys that it is signed by.

RAUC's format verity (its documentation, "Bundle Formats"): a squashfs of the images, its dm-verity tree, the manifest
signed as CMS, the length of that. `rauc bundle` draws a salt and writes the time into the signature; put together here,
from a salt of the lock and without signed attributes, the same image has the same bundle.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from boxos.adaptive import write_index
from boxos.manifest import BOOT_IMAGE, ROOT_IMAGE, Payload, name_day, write_manifest
from boxos.programs import run
from boxos.recipe import Recipe
from boxos.root_image import format_verity
from boxos.seed import derive_salt
from boxos.store import hash_file
from ritilib.errors import RitiError

KEY, CERTIFICATE = "signing.key.pem", "signing.pem"
_DAYS = 3650
_EXTENSIONS = (
    "[req]\ndistinguished_name=name\nprompt=no\nx509_extensions=ext\n[name]\nCN=RITI box images\n[ext]\n"
    "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,digitalSignature,keyCertSign\n"
    "extendedKeyUsage=critical,codeSigning\nsubjectKeyIdentifier=hash\n"
)
# The root's LZ4 is packed by a fourth more here. A block is the least that a box fetches: smaller ones are packed less,
# and ask a server more often; of larger ones more is fetched that nobody asked for.
_SQUASHFS = (
    "-comp",
    "zstd",
    "-Xcompression-level",
    "15",
    "-b",
    "16K",
    "-noappend",
    "-no-exports",
    "-no-progress",
    "-quiet",
)


@dataclass(frozen=True)
class Signed:
    """What was made without a key: file holds squashfs and tree."""

    file: Path
    payload: Payload


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


def make_payload(boot: Path, root: Path, target: Path, seed: str, epoch: int) -> Signed:
    """The images, their indexes and their tree at target, with what the manifest says of them. A folder of theirs is
    left beside target."""
    content = target.with_name(f"{target.name}.content")
    content.mkdir()
    shutil.copyfile(boot, content / BOOT_IMAGE)
    shutil.copyfile(root, content / ROOT_IMAGE)
    for name in (BOOT_IMAGE, ROOT_IMAGE):
        write_index(content / name)
    words = ["-all-root", "-reproducible", "-no-xattrs", "-all-time", str(epoch), "-mkfs-time", str(epoch)]
    run(["mksquashfs", content, target, *_SQUASHFS, *words])
    size = target.stat().st_size
    salt = derive_salt(seed, "bundle")
    root_hash = format_verity(target, size, salt, ["--no-superblock"])
    images = {
        name: (hash_file(content / name), (content / name).stat().st_size)
        for name in (BOOT_IMAGE, ROOT_IMAGE)
    }
    return Signed(target, Payload(images, root_hash, salt, target.stat().st_size - size))


def sign(signed: Signed, manifest: str, keys: Path, target: Path) -> None:
    """The bundle at target: what signed holds, and the manifest, signed by the key in keys. RitiError where there is
    none."""
    if not (keys / KEY).is_file():
        raise RitiError.because(f"there is no key in {keys}", "make one: python -m boxos keys")
    text, signature = target.with_name(f"{target.name}.raucm"), target.with_name(f"{target.name}.cms")
    text.write_text(manifest)
    words = ["cms", "-sign", "-binary", "-nodetach", "-noattr", "-md", "sha256", "-outform", "DER"]
    run(
        [
            "openssl",
            *words,
            "-signer",
            keys / CERTIFICATE,
            "-inkey",
            keys / KEY,
            "-in",
            text,
            "-out",
            signature,
        ]
    )
    content = signature.read_bytes()
    if target != signed.file:
        run(["cp", "--sparse=auto", signed.file, target])
    with target.open("ab") as bundle:
        bundle.write(content + len(content).to_bytes(8, "big"))
    for one in (text, signature):
        one.unlink()


def make_bundle(
    recipe: Recipe, images: tuple[Path, Path], keys: Path, target: Path, seed: str, epoch: int
) -> None:
    """A signed bundle at target, of images (boot, root); RitiError where folder keys has no key."""
    signed = make_payload(*images, target, seed, epoch)
    sign(signed, write_manifest(recipe, name_day(epoch), signed.payload), keys, target)
