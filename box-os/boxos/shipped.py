"""What an image holds as it goes out, taken apart again and searched: partitions, kernel, initrd, root, data."""

from __future__ import annotations

import gzip
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from boxos.boot_text import INITRD_FILE, KERNEL_FILE
from boxos.bundle import KEY
from boxos.firmware import find_spans
from boxos.layout import BOOT_A, DATA, ROOT_A, SELECTOR
from boxos.programs import run
from boxos.secrets import find_secrets
from ritilib.errors import Problem, RitiError

_CHUNK = 1024 * 1024
_MEND = "find out which step of boxos/build.py puts it there"


def search_image(image: Path, keys: Path, work: Path) -> int:
    """How many files were looked at; RitiError with each that holds a secret, the key by which bundles are signed among
    them (keys: its folder)."""
    folder = unpack_image(image, work)
    signing = read_prime(keys / KEY)
    problems: list[Problem] = []
    count = 0
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        count += 1
        place, content = str(path.relative_to(folder)), path.read_bytes()
        # within a partition a file's place is what it is on a box
        wrongs = find_secrets(place.partition("/")[2], content, [])
        if signing in content:
            wrongs.append("it holds the key that signs bundles")
        problems += [Problem(place, 0, 0, wrong, _MEND) for wrong in wrongs]
    if problems:
        raise RitiError(problems)
    return count


def unpack_image(image: Path, work: Path) -> Path:
    """A folder in work with one for each partition that is not empty; kernel and initrd are unpacked too."""
    folder = work / "shipped"
    spans = find_spans(run(["sfdisk", "--dump", image]))
    for name in ("selector", "boot", "data", "initrd"):
        (folder / name).mkdir(parents=True)
    for name, number in (("selector", SELECTOR), ("boot", BOOT_A)):
        run(["mcopy", "-s", "-n", "-i", f"{image}@@{spans[number][0]}", "::*", folder / name])
    parts = {}
    for name, number in (("root.part", ROOT_A), ("data.part", DATA)):
        parts[name] = work / name
        _copy(image, spans[number], parts[name])
    run(["fsck.erofs", f"--extract={folder / 'root'}", parts["root.part"]])
    run(["debugfs", "-R", f"rdump / {folder / 'data'}", parts["data.part"]])
    for name in (KERNEL_FILE, INITRD_FILE):
        packed = folder / "boot" / name
        (folder / "boot" / f"{name}.unpacked").write_bytes(gzip.decompress(packed.read_bytes()))
    archive = folder / "boot" / f"{INITRD_FILE}.unpacked"
    run(
        ["cpio", "--quiet", "--extract", "--no-absolute-filenames", "--file", archive],
        folder=folder / "initrd",
    )
    return folder


def read_prime(key: Path) -> bytes:
    """One of the two secret numbers of an RSA key, as it stands in each of such a key's forms that are no text."""
    read = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(read, RSAPrivateKey)
    return read.private_numbers().p.to_bytes(read.key_size // 16, "big")


def _copy(image: Path, span: tuple[int, int], target: Path) -> None:
    start, size = span
    with image.open("rb") as source, target.open("wb") as written:
        source.seek(start)
        while size > 0:
            content = source.read(min(_CHUNK, size))
            written.write(content)
            size -= len(content)
