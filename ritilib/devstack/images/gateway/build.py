"""Makes the gateway's image, where it is not there; it is known by the hash of all that decides what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from ritilib.clients.docker import Docker
from ritilib.devstack.claims import hold_lock
from ritilib.devstack.images.archive import File, Folder, Link, Root
from ritilib.devstack.images.debian import OPTIONS
from ritilib.devstack.images.gateway.debian import PACKAGES, PROGRAM, SUITE, unpack_haproxy
from ritilib.devstack.images.libraries import find_libraries, find_loader
from ritilib.devstack.images.put import RECIPE_LABEL, put_image
from ritilib.render.gateway import PUBLIC_AUTHORITIES, USER_ID

IMAGE = "riti/gateway:dev"
_FOLDERS = ("dev", "proc", "sys", "etc", "local", "secrets", "alloc")
# glibc opens it by name when a thread ends
_OPENED_BY_NAME = "libgcc_s.so.1"
_ACCOUNTS = {
    "etc/passwd": "root:x:0:0:root:/:/nonexistent\n"
    f"haproxy:x:{USER_ID}:{USER_ID}:The gateway:/local:/nonexistent\n",
    "etc/group": f"root:x:0:\nhaproxy:x:{USER_ID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def build_gateway(docker_host: str, cache: Path, report: Callable[[str], None], name: str = IMAGE) -> bool:
    """Make the image in that Docker; False where it is there already.

    cache is the stack's cache; what is unpacked is kept in its folder images. DevstackError where HAProxy cannot be
    had, ServerError where Docker refuses.
    """
    folder = cache / "images"
    recipe, docker = _hash(), Docker(docker_host)
    with hold_lock(folder / "gateway.lock"):
        if docker.read_label(name, RECIPE_LABEL) == recipe:
            return False
        tree = unpack_haproxy(folder, report)
        report(f"making image {name}")
        changes = (
            f'CMD ["/{PROGRAM}","-W","-db","-f","/local/haproxy.cfg"]',
            f"USER {USER_ID}:{USER_ID}",
        )
        put_image(list_root(tree), name, changes, recipe, docker, folder / "gateway.tar", report)
    return True


def list_root(tree: Path) -> Root:
    """path in the image → what is there; tree is HAProxy, unpacked. DevstackError where a library is absent."""
    loader = find_loader(tree)
    linked = str(loader.resolve().relative_to(tree.resolve()))
    needed = find_libraries(tree, [tree / PROGRAM])
    # the loader names them by /lib, which is a link
    libraries = {f"usr/{path}" if path.startswith("lib") else path: place for path, place in needed.items()}
    opened = next(tree.glob(f"usr/lib/*/{_OPENED_BY_NAME}"))
    libraries[str(opened.relative_to(tree))] = opened.resolve()
    authorities = sorted((tree / "usr/share/ca-certificates").rglob("*.crt"))
    return {
        **{path: Folder() for path in _FOLDERS},
        "tmp": Folder(0o1777),
        **{path: File(text.encode()) for path, text in _ACCOUNTS.items()},
        **{name: Link(f"usr/{name}") for name in ("lib", "lib64", "sbin") if (tree / "usr" / name).is_dir()},
        **{path: File(place) for path, place in libraries.items()},
        linked: File(loader.resolve(), 0o755),
        str(loader.relative_to(tree)): Link(f"/{linked}"),
        PROGRAM: File(tree / PROGRAM, 0o755),
        PUBLIC_AUTHORITIES.lstrip("/"): File(
            b"".join(one.read_bytes().rstrip(b"\n") + b"\n" for one in authorities)
        ),
    }


def _hash() -> str:
    """12 hex digits over the packages, and the code of this package, which is the rest of the recipe."""
    digest = hashlib.sha256(repr((SUITE, PACKAGES, OPTIONS, USER_ID)).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
