"""Makes the controller's image, where it is not there; it is known by the hash of all that decides what it holds."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import ritilib
from ritilib.assets import ASSETS, find_assets
from ritilib.clients.docker import Docker
from ritilib.devstack.claims import hold_lock
from ritilib.devstack.images.controller.debian import PACKAGES, PYTHON, SITE, SUITE, unpack_python
from ritilib.devstack.images.controller.packages import list_runtime, select_locked
from ritilib.devstack.images.controller.root import list_root
from ritilib.devstack.images.put import RECIPE_LABEL, put_image
from ritilib.devstack.processes import PATH
from ritilib.errors import DevstackError
from ritilib.render.controller import USER_ID

IMAGE = "riti/controller:dev"
LOCK = "requirements.txt"
_SKIPPED = shutil.ignore_patterns("__pycache__", "*.pyc", "_assets")


def build_controller(
    docker_host: str, nebula_cert: Path, cache: Path, report: Callable[[str], None], name: str = IMAGE
) -> bool:
    """Make the image in that Docker; False where it holds this very RITI already.

    cache is the stack's cache; what is unpacked is kept in its folder images. DevstackError where something cannot be
    had, ServerError where Docker refuses.
    """
    folder = cache / "images"
    locked = select_locked(find_assets(LOCK).read_text(), list_runtime("ritilib"))
    recipe = hash_recipe(locked, nebula_cert.read_bytes())
    docker = Docker(docker_host)
    with hold_lock(folder / "controller.lock"):
        if docker.read_label(name, RECIPE_LABEL) == recipe:
            return False
        tree = unpack_python(locked, folder, report)
        report(f"making image {name}")
        put_riti(tree)
        root = list_root(tree, nebula_cert)
        put_image(root, name, _list_changes(), recipe, docker, folder / "controller.tar", report)
    return True


def _list_changes() -> tuple[str, ...]:
    """The Dockerfile lines: `riti` as a user without rights, below a program that reaps what it leaves."""
    entry = json.dumps(["/usr/bin/tini", "--", "/usr/bin/riti"])
    return (
        f"ENTRYPOINT {entry}",
        'CMD ["sync"]',
        f"USER {USER_ID}:{USER_ID}",
        "ENV LANG=C.UTF-8",
        "ENV PYTHONDONTWRITEBYTECODE=1",
        "ENV PYTHONUNBUFFERED=1",
    )


def put_riti(tree: Path) -> None:
    """This RITI into the tree, beside its packages, and all of it compiled: the image is never written to."""
    site = tree / SITE
    for old in (site / "ritilib", *site.glob("ritilib-*.dist-info")):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(_find_package(), site / "ritilib", ignore=_SKIPPED)
    for name in ASSETS:
        source, target = find_assets(name), site / "ritilib" / "_assets" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=_SKIPPED)
        else:
            shutil.copy(source, target)
    about = site / f"ritilib-{version('ritilib')}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ritilib\nVersion: {version('ritilib')}\n")
    compiling = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    folders = [f"/usr/lib/python{PYTHON}", f"/{SITE}"]
    argv = [
        "chroot",
        str(tree),
        f"/usr/bin/python{PYTHON}",
        *compiling,
        "-x",
        r"/(test|lib2to3|geodata)/",
        *folders,
    ]
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, env={"PATH": PATH, "PYTHONHASHSEED": "0"}
    )
    if done.returncode != 0:
        words = " ".join((done.stdout + done.stderr).split())[-400:]
        raise DevstackError.because(f"Python could not be compiled: {words}", f"remove {tree}")


def hash_recipe(locked: str, *more: bytes) -> str:
    """12 hex digits over the packages, what more there is, RITI itself and its assets."""
    digest = hashlib.sha256(repr((SUITE, PACKAGES, locked, version("ritilib"))).encode())
    for one in more:
        digest.update(one)
    roots = [_find_package(), *(find_assets(name) for name in ASSETS)]
    for root in roots:
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{root.name}/{path.relative_to(root)}".encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def _find_package() -> Path:
    return Path(ritilib.__file__).parent
