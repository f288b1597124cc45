"""Make the images, those that are not there; each is known by the hash of all that decides what it holds."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ritilib.box.start import START
from ritilib.clients.docker import Docker
from ritilib.devstack.claims import hold_lock
from ritilib.devstack.images import asterisk, programs, words
from ritilib.devstack.images.archive import File, Folder, Root, write_tar
from ritilib.devstack.images.debian import unpack_asterisk
from ritilib.devstack.images.put import MEGABYTE, RECIPE_LABEL
from ritilib.errors import DevstackError
from ritilib.fleet.kinds import LANGUAGES
from ritilib.render.modules import BOX_MODULES, PBX_MODULES

Report = Callable[[str], None]


@dataclass(frozen=True)
class Image:
    """One image: its name, the hash of its recipe, how its root comes about, and its Dockerfile lines."""

    name: str
    recipe: str
    list_root: Callable[[], Root]
    changes: tuple[str, ...]

    def find_tar(self, cache: Path) -> Path:
        short = self.name.removeprefix("riti/").partition(":")[0]
        return cache / f"{short}-{self.recipe}.tar"


def build_images(docker_host: str, binaries: Mapping[str, Path], cache: Path, report: Report) -> None:
    """Make riti/pbx:dev, riti/box:dev, riti/overlay:dev and riti/pause:dev in that Docker.

    An image whose label carries its recipe's hash is left alone. binaries: "nebula" → the static program;
    "go" → the Go command (where it is not given, the one on PATH). cache is the stack's cache; tars and
    built programs are kept in its folder images. DevstackError where Asterisk or a program cannot be had,
    ServerError where Docker refuses.
    """
    folder = cache / "images"
    docker = Docker(docker_host)
    with hold_lock(folder / "lock"):
        for image in _list_images(binaries, folder, report):
            if docker.read_label(image.name, RECIPE_LABEL) == image.recipe:
                continue
            tar = image.find_tar(folder)
            if not tar.is_file():
                report(f"making image {image.name}")
                size = write_tar(image.list_root(), tar)
                report(f"made image {image.name}: {size / MEGABYTE:.1f} MB unpacked")
                _forget_older(tar)
            docker.import_image(tar, image.name, (*image.changes, f"LABEL {RECIPE_LABEL}={image.recipe}"))


def _list_images(binaries: Mapping[str, Path], folder: Path, report: Report) -> list[Image]:
    def list_asterisk(modules: tuple[str, ...]) -> Root:
        return asterisk.list_root(unpack_asterisk(folder, report), modules)

    def build(program: str) -> File:
        return File(programs.build_program(program, _find_go(binaries), folder, report), 0o755)

    nebula = binaries["nebula"]
    with nebula.open("rb") as program:
        nebula_hash = hashlib.file_digest(program, "sha256").hexdigest()
    return [
        Image(
            "riti/pause:dev",
            _hash(programs.find_hash(programs.PAUSE)),
            lambda: {"pause": build(programs.PAUSE)},
            ('CMD ["/pause"]', f"USER {asterisk.USER_ID}:{asterisk.USER_ID}"),
        ),
        Image(
            "riti/overlay:dev",
            _hash(programs.find_hash(programs.GATE), nebula_hash),
            lambda: {
                **{path: Folder() for path in ("dev", "proc", "sys", "etc", "local", "secrets", "alloc")},
                "tmp": Folder(0o1777),
                "gate": build(programs.GATE),
                "nebula": File(nebula, 0o755),
            },
            ('CMD ["/nebula","-config","/local/overlay.yml"]',),
        ),
        Image(
            "riti/pbx:dev",
            _hash(PBX_MODULES, programs.find_hash(programs.WATCHER)),
            lambda: {**list_asterisk(PBX_MODULES), "watcher": build(programs.WATCHER)},
            asterisk.list_changes("/watcher", "start", "--"),
        ),
        Image(
            "riti/box:dev",
            _hash(BOX_MODULES, LANGUAGES, START, programs.find_hash(programs.WATCHER)),
            lambda: {
                **list_asterisk(BOX_MODULES),
                **words.list_words(unpack_asterisk(folder, report)),
                "watcher": build(programs.WATCHER),
            },
            asterisk.list_changes(*START),
        ),
    ]


def _hash(*ingredients: object) -> str:
    """12 hex digits over the ingredients and the code of this package, which is the rest of every recipe."""
    digest = hashlib.sha256(repr(ingredients).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _find_go(binaries: Mapping[str, Path]) -> Path:
    go = binaries.get("go") or shutil.which("go")
    if not go:
        raise DevstackError.because(
            "our gate must be built, and there is no Go here", "put Go 1.24 or newer on PATH"
        )
    return Path(go)


def _forget_older(tar: Path) -> None:
    """Remove the tars that earlier recipes of the same image left behind."""
    for other in tar.parent.glob(f"{tar.name.partition('-')[0]}-*.tar"):
        if other != tar:
            other.unlink()
