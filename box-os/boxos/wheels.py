"""The agent and the Python packages that it runs with: locked wheels for the box's processor, and RITI's own wheel."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from boxos.bill import Component
from boxos.programs import run
from boxos.recipe import PYTHON
from boxos.store import Store, hash_file, hash_tree
from boxos.telephony import put
from ritilib.errors import RitiError

SITE = "usr/lib/python3/dist-packages"  # where Debian's Python looks; it knows no site-packages
_PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in (39, 36, 35, 34, 31, 28, 27, 24, 17)]
# what `riti join` and `riti box-agent` never import: the controller's side and the lab
NOT_THE_BOXS = (
    *("_assets", "devstack", "gitops", "sync", "console", "routing"),
    *("render/templates",),
)
# nor what their libraries import only for what a box does not do: coloured source, Markdown, C declarations, the
# numbering plans of each country (tests/boxos/test_wheels.py imports the box's side without them)
NEVER_IMPORTED = (
    *("pygments/", "markdown_it/", "mdurl/", "pycparser/", "cffi/"),
    *("phonenumbers/geodata/", "phonenumbers/carrierdata/", "phonenumbers/data/region_"),
    "phonenumbers/shortdata/region_",
)
_RUNS = 8
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


def put_libraries(tree: Path, folder: Path) -> None:
    """Unpack the wheels in folder into tree, without what a box never imports, and compile all of tree's Python."""
    for wheel in sorted(folder.glob("*.whl")):
        _unpack(wheel, tree)
    for below in (f"usr/lib/python{PYTHON}", SITE):
        compile_python(tree, below)


def put_agent(tree: Path, folder: Path) -> None:
    """RITI's own wheel, in folder, into tree, which has the libraries; and the command `riti`."""
    for wheel in sorted(folder.glob("*.whl")):
        _unpack(wheel, tree)
    for name in NOT_THE_BOXS:
        shutil.rmtree(tree / SITE / "ritilib" / name, ignore_errors=True)
    put(tree / "usr/bin/riti", _COMMAND.encode(), 0o755)
    compile_python(tree, f"{SITE}/ritilib")


def check_starts(tree: Path) -> None:
    """Start the agent's command and our own programs as far as they go without a box; RitiError with their last words.

    What is left out of an image, or lies where its Python does not look, is found here and not in an office.
    """
    run_emulated(tree, [tree / "usr/bin/riti", "box-agent", "--help"])
    run_emulated(tree, ["-c", "import onbox.page, onbox.rescue, onbox.slot, onbox.status, onbox.update"])


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
    return name.endswith(".pyi") or "/tests/" in name or name.startswith(NEVER_IMPORTED)


def compile_python(tree: Path, below: str) -> None:
    """Write the bytecode of all sources in a folder of tree; the same bytes on every machine.

    It is the same for every processor, but not for every version, so the tree's own Python writes it, emulated for
    that alone (no change of this machine's kernel settings). That is most of a build's time: so the sources are dealt
    out to a fixed number of runs, as many of them at once as there are processors. Fixed, since what a run has compiled
    before decides which constants of the next file are marked as shared.
    """
    sources = sorted((tree / below).rglob("*.py"))
    with tempfile.TemporaryDirectory(prefix="boxos-") as name:
        lists = [Path(name) / str(index) for index in range(_RUNS)]
        for index, one in enumerate(lists):
            one.write_text("".join(f"{source}\n" for source in sources[index::_RUNS]))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            # list: the first failure is raised here, once all have ended
            list(pool.map(lambda one: _compile(tree, one), [one for one in lists if one.stat().st_size]))


def _compile(tree: Path, listed: Path) -> None:
    words: list[str | Path] = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
    run_emulated(tree, [*words, "-s", str(tree), "-p", "/", "-i", listed])


def run_emulated(tree: Path, words: Sequence[str | Path]) -> None:
    """The tree's own Python, emulated, which leaves nothing behind that it is not told to."""
    python = tree / f"usr/bin/python{PYTHON}"
    # with its own folder for its prefix it finds its library, and Debian's place for what was added, in the tree
    settings = {"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    # not -I, which would not heed them
    run(["qemu-aarch64-static", "-L", tree, python, "-sP", *words], extra=settings)
