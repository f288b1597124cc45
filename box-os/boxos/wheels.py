"""The agent and the Python packages that it runs with: locked wheels for the box's processor, and RITI's own wheel."""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from pathlib import Path

from boxos.bill import Component
from boxos.programs import run
from boxos.recipe import PYTHON
from boxos.store import Store, hash_file, hash_tree
from boxos.telephony import put
from ritilib.errors import RitiError

SITE = f"usr/lib/python{PYTHON}/site-packages"
_PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in (39, 36, 35, 34, 31, 28, 27, 24, 17)]
# what `riti join` and `riti box-agent` never import: the controller's side and the lab
NOT_THE_BOXS = (
    *("_assets", "devstack", "gitops", "sync", "console", "routing"),
    *("render/templates",),
)
_COMMAND = "#!/usr/bin/python3 -sP\nfrom ritilib.cli.main import main\n\nmain()\n"
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", re.MULTILINE)
_SOURCES = ("ritilib", "jobs", "repo-layout", "pyproject.toml", "setup.py", "README.md", "requirements.txt")


def fetch_wheels(store: Store, requirements: Path) -> Path:
    """A folder with the wheels of requirements, each with its hash. RitiError with pip's last words."""

    def build(target: Path) -> None:
        words = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--disable-pip-version-check",
            "--quiet",
            "--no-deps",
        ]
        words += ["--require-hashes", "--only-binary", ":all:", "--implementation", "cp"]
        words += ["--python-version", PYTHON, "--dest", str(target), "--requirement", str(requirements)]
        words += [part for tag in (*_PLATFORMS, "manylinux2014_aarch64") for part in ("--platform", tag)]
        words += [part for abi in (f"cp{PYTHON.replace('.', '')}", "abi3", "none") for part in ("--abi", abi)]
        run(words)

    return store.make("wheels", [hash_file(requirements), PYTHON], build)


def build_wheel(store: Store, project: Path) -> Path:
    """A folder with RITI's own wheel, of the checkout at project."""
    inputs = [hash_tree(*(project / name for name in _SOURCES if (project / name).exists()))]

    def build(target: Path) -> None:
        copy = target.parent / "source"
        copy.mkdir()
        for name in _SOURCES:
            source = project / name
            if source.is_dir():
                shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copyfile(source, copy / name)
        words = [sys.executable, "-m", "pip", "wheel", "--disable-pip-version-check", "--quiet", "--no-deps"]
        run([*words, "--no-build-isolation", "--wheel-dir", target, str(copy)])

    return store.make("agent", inputs, build)


def list_components(requirements: Path, version: str) -> list[Component]:
    """What the bill says of them."""
    found = _LOCKED.findall(requirements.read_text())
    return [
        Component(name, said, f"pkg:pypi/{name.lower()}@{said}", "")
        for name, said in (*found, ("ritilib", version))
    ]


def put_python(tree: Path, *folders: Path) -> None:
    """Unpack the wheels of these folders into tree, without what a box never imports, and compile them.

    Bytecode is the same for every processor, but not for every version, so the tree's own Python writes it, emulated
    for that one program (no change of this machine's kernel settings).
    """
    for folder in folders:
        for wheel in sorted(folder.glob("*.whl")):
            _unpack(wheel, tree)
    for name in NOT_THE_BOXS:
        shutil.rmtree(tree / SITE / "ritilib" / name, ignore_errors=True)
    put(tree / "usr/bin/riti", _COMMAND.encode(), 0o755)
    _compile(tree)


def _unpack(wheel: Path, tree: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith("/") or ".data/" in name or _is_useless(name):
                continue
            if ".." in Path(name).parts or name.startswith("/"):
                raise RitiError.because(
                    f"{wheel.name} holds a file outside of itself", "do not use that index"
                )
            put(tree / SITE / name, archive.read(name))


def _is_useless(name: str) -> bool:
    if ".dist-info/" in name:
        return not name.endswith(("/METADATA", "/LICENSE", "/WHEEL", "/entry_points.txt"))
    return (
        name.endswith(".pyi")
        or "/tests/" in name
        or name.startswith(("phonenumbers/geodata", "phonenumbers/carrier"))
    )


def _compile(tree: Path) -> None:
    python = tree / f"usr/bin/python{PYTHON}"
    words = [
        "-I",
        "-m",
        "compileall",
        "-q",
        "-f",
        "--invalidation-mode",
        "unchecked-hash",
        "-s",
        str(tree),
        "-p",
        "/",
    ]
    run(
        ["qemu-aarch64-static", "-L", tree, python, *words, tree / f"usr/lib/python{PYTHON}"],
        extra={"PYTHONHASHSEED": "0", "PYTHONHOME": str(tree / "usr")},
    )
