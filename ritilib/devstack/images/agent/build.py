"""Makes the image of a box's agent, where it is not there; it is known by the hash of all that it is made of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from ritilib.assets import find_assets
from ritilib.clients.docker import Docker
from ritilib.devstack.claims import hold_lock
from ritilib.devstack.images import asterisk
from ritilib.devstack.images.archive import File, Folder, Root
from ritilib.devstack.images.controller.build import LOCK, hash_recipe, put_riti
from ritilib.devstack.images.controller.debian import PYTHON, unpack_python
from ritilib.devstack.images.controller.packages import list_runtime, select_locked
from ritilib.devstack.images.controller.root import list_python
from ritilib.devstack.images.debian import unpack_asterisk
from ritilib.devstack.images.put import RECIPE_LABEL, put_image
from ritilib.render.modules import BOX_MODULES

IMAGE = "riti/box-agent:dev"
USER_ID = (
    10002  # not Asterisk's, which reads its configuration by group and nothing else of the data partition
)
ASTERISK = "asterisk"  # the folder of a root file system of another Debian, with its own loader and libraries
PROGRAMS = (f"usr/bin/python{PYTHON}", "usr/bin/tini")
# what a trial never reads: Python's side has the zones, and whoever it runs as has no name
_USELESS = ("usr/share/zoneinfo/", "etc/", "tmp", "dev", "proc", "sys", "local", "secrets", "alloc", "var/")
_ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/:/nonexistent\nriti:x:{USER_ID}:{USER_ID}:The agent:/data:/nonexistent\n",
    "etc/group": f"root:x:0:\nriti:x:{USER_ID}:\nasterisk:x:{asterisk.USER_ID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def build_agent(docker_host: str, cache: Path, report: Callable[[str], None], name: str = IMAGE) -> bool:
    """Make the image in that Docker; False where it holds this very RITI already.

    cache is the stack's cache; what is unpacked is kept in its folder images. DevstackError where something cannot be
    had, ServerError where Docker refuses.
    """
    folder = cache / "images"
    locked = select_locked(find_assets(LOCK).read_text(), list_runtime("ritilib"))
    recipe = hash_recipe(locked, repr(BOX_MODULES).encode(), _hash_recipes())
    docker = Docker(docker_host)
    # the controller's image is made of the same tree
    with hold_lock(folder / "controller.lock"):
        if docker.read_label(name, RECIPE_LABEL) == recipe:
            return False
        with hold_lock(folder / "lock"):
            debian = unpack_asterisk(folder, report)
        tree = unpack_python(locked, folder, report)
        report(f"making image {name}")
        put_riti(tree)
        root = list_root(tree, debian)
        put_image(root, name, _list_changes(), recipe, docker, folder / "box-agent.tar", report)
    return True


def list_root(tree: Path, debian: Path) -> Root:
    """path in the image → what is there; tree is the controller's with RITI in it, debian Asterisk's."""
    beside = {
        f"{ASTERISK}/{path}": entry
        for path, entry in asterisk.list_root(debian, BOX_MODULES).items()
        if not path.startswith(_USELESS)
    }
    release = f'ID=riti\nIMAGE_ID=riti-box-agent\nIMAGE_VERSION="{version("ritilib")}"\n'
    return {
        **list_python(tree, PROGRAMS),
        **{path: File(text.encode()) for path, text in _ACCOUNTS.items()},
        "etc/os-release": File(release.encode()),
        **{path: Folder() for path in ("data", "card", "run/riti", "run/asterisk")},
        **beside,
    }


def _list_changes() -> tuple[str, ...]:
    """The Dockerfile lines: the agent as a user without rights, below a program that reaps what it leaves."""
    entry = ["/usr/bin/tini", "--", "/usr/bin/riti", "box-agent", "--data", "/data", "--card", "/card"]
    entry += ["--asterisk", f"/{ASTERISK}", "--scratch", "/run/riti"]
    return (
        f"ENTRYPOINT {json.dumps(entry)}",
        f"USER {USER_ID}:{USER_ID}",
        "ENV LANG=C.UTF-8",
        "ENV PYTHONDONTWRITEBYTECODE=1",
        "ENV PYTHONUNBUFFERED=1",
    )


def _hash_recipes() -> bytes:
    """Over what of this machine's side decides how Asterisk's part is chosen."""
    digest = hashlib.sha256()
    for path in sorted(Path(asterisk.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()
