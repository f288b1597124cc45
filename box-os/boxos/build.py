"""From recipe and lock to a flashable image, a signed bundle and a bill: the steps in their order."""

from __future__ import annotations

import gzip
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from boxos import boot_text, laid
from boxos.bill import Component, list_debian, write_bill
from boxos.bundle import CERTIFICATE, make_bundle
from boxos.debs import fetch
from boxos.disk import assemble, make_data, pack
from boxos.fat import make_fat
from boxos.golang import build_programs
from boxos.initrd import build_initrd
from boxos.layout import BOOT_A, DATA, MEBIBYTE, ROOT_A, SELECTOR, Layout, Sizes, plan_disk
from boxos.lock import Lock
from boxos.modules import find_release, put_modules
from boxos.recipe import ARCHITECTURE, SUITE, Recipe
from boxos.root_image import add_verity, write_erofs
from boxos.secrets import search
from boxos.seed import derive_uuid, derive_volume_id
from boxos.store import Store, hash_file, hash_tree
from boxos.sweep import check_libraries, sweep
from boxos.telephony import put, slim_asterisk
from boxos.unpack import remove, unpack_base
from boxos.verity import Verity
from boxos.wheels import build_wheel, check_starts, fetch_wheels, list_components, put_agent, put_libraries
from onbox.selection import write_selection
from ritilib.devstack.machine.recipe import NEBULA

SIZES = Sizes()


@dataclass(frozen=True)
class Image:
    """What was made; digests are of the files' bytes."""

    name: str
    root: Path
    boot: Path
    initrd: Path
    disk: Path
    packed: Path
    bundle: Path
    bill: Path

    def digests(self) -> dict[str, str]:
        return {part: hash_file(path) for part, path in asdict(self).items() if isinstance(path, Path)}


@dataclass(frozen=True)
class Places:
    """box_os: the folder of the recipe's files; project: the checkout; cache: what is kept; keys: who signs."""

    box_os: Path
    project: Path
    cache: Path
    keys: Path


def build_image(recipe: Recipe, lock: Lock, places: Places, store: Store) -> Image:
    """Make everything; RitiError with what cannot be had or does not fit. A second run does nothing."""
    began = time.monotonic()
    seed = lock.digest(recipe.flavour.name)
    layout = plan_disk(seed, SIZES, 0, 0)
    kernel = _unpack_kernel(recipe, lock, places, store)
    tree = _make_tree(recipe, lock, kernel, places, store)
    release = find_release(kernel)
    folder = tree.parent

    def make_root(target: Path) -> None:
        target.mkdir()
        packed = target.parent / "root.erofs"
        write_erofs(tree, packed, seed, lock.epoch)
        verity = add_verity(packed, target / "root.img", seed)
        (target / "verity.json").write_text(json.dumps(asdict(verity)))

    root = store.make("root", [tree.name, _code("root_image", "verity", "seed")], make_root)
    verity = Verity(**json.loads((root / "verity.json").read_text()))

    def make_initrd(target: Path) -> None:
        build_initrd(tree, release, places.box_os / "initrd/init", target)

    script = hash_file(places.box_os / "initrd/init")
    initrd = store.make("initrd.img", [tree.name, script, _code("initrd", "modules")], make_initrd)

    def make_boot(target: Path) -> None:
        _make_boot(target, recipe, verity, kernel, release, initrd, seed, lock.epoch)

    inputs = [
        kernel.name,
        initrd.name,
        repr(verity),
        recipe.board.name,
        seed,
        _code("boot_text", "board", "fat"),
    ]
    boot = store.make("boot.vfat", inputs, make_boot)
    plan_disk(seed, SIZES, boot.stat().st_size, (root / "root.img").stat().st_size)

    def make_disk(target: Path) -> None:
        _make_disk(target, layout, boot, root / "root.img", seed, lock.epoch)

    parts = [
        boot.name,
        root.name,
        repr(layout),
        _code("disk", "fat", "boot_text"),
        write_selection(BOOT_A).hex(),
    ]
    disk = store.make(f"{recipe.name}.img", parts, make_disk)
    packed = store.make(f"{recipe.name}.img.zst", [disk.name], lambda target: pack(disk, target))

    def make_update(target: Path) -> None:
        make_bundle(recipe, (boot, root / "root.img"), places.keys, target, seed, lock.epoch)

    signed = [
        boot.name,
        root.name,
        hash_file(places.keys / CERTIFICATE),
        repr(recipe),
        _code("manifest", "bundle", "root_image", "adaptive"),
    ]
    bundle = store.make(f"{recipe.name}.raucb", signed, make_update)
    text = write_bill(recipe, seed, lock.epoch, _list_components(recipe, lock, places))
    bill = folder / f"{recipe.name}.cdx.json"
    bill.write_text(text)
    store.report(f"{recipe.name}: {time.monotonic() - began:.1f} s in all")
    return Image(recipe.name, root / "root.img", boot, initrd, disk, packed, bundle, bill)


def _unpack_kernel(recipe: Recipe, lock: Lock, places: Places, store: Store) -> Path:
    packages = lock.find_kernel(recipe.flavour.name)

    def build(target: Path) -> None:
        unpack_base(target, fetch(packages, places.cache / "debs", store.report))

    return store.make("kernel", [one.sha256 for one in packages], build)


def _make_tree(recipe: Recipe, lock: Lock, kernel: Path, places: Places, store: Store) -> Path:
    programs = build_programs(store)
    requirements = places.box_os / "requirements.txt"
    wheels = fetch_wheels(store, requirements)
    agent = build_wheel(store, places.project)

    def make_base(target: Path) -> None:
        unpack_base(target, fetch(lock.packages, places.cache / "debs", store.report))
        slim_asterisk(target)
        sweep(target)

    base = store.make(
        "base", [*(one.sha256 for one in lock.packages), _code("unpack", "telephony", "sweep")], make_base
    )

    def make_python(target: Path) -> None:
        shutil.copytree(base, target, symlinks=True)
        put_libraries(target, wheels)

    # by itself, since compiling by emulation takes minutes, and neither the agent nor our files change it
    python = store.make("python", [base.name, wheels.name, _code("wheels")], make_python)

    def make_tree(target: Path) -> None:
        shutil.copytree(python, target, symlinks=True)
        put_agent(target, agent)
        for path, program in programs.items():
            put(target / path, program.read_bytes(), 0o755)
        put_modules(kernel, target)
        laid.lay_over(target, places.box_os, recipe)
        put(target / "etc/rauc/keyring.pem", (places.keys / CERTIFICATE).read_bytes())
        remove(target, ("etc/.pwd.lock", "var/log/*", "tmp/*"))
        check_libraries(target)
        check_starts(target)
        search(target, (places.cache, places.project, target.parent))

    inputs = [python.name, kernel.name, agent.name, *(one.name for one in programs.values())]
    inputs += [
        hash_tree(*(places.box_os / name for name in ("files", "units", "onbox"))),
        hash_file(places.keys / CERTIFICATE),
    ]
    inputs += [
        repr(recipe),
        _code("laid", "accounts", "wheels", "modules", "manifest", "secrets", "sweep", "telephony"),
    ]
    return store.make("tree", inputs, make_tree)


def _make_boot(
    target: Path,
    recipe: Recipe,
    verity: Verity,
    kernel: Path,
    release: str,
    initrd: Path,
    seed: str,
    epoch: int,
) -> None:
    work = target.parent
    packed = work / "vmlinuz"
    image = (kernel / "usr/lib/modules" / release / "vmlinuz").read_bytes()
    with packed.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as stream:
        stream.write(image)
    texts = {
        boot_text.CONFIG_FILE: boot_text.write_config(recipe.board),
        boot_text.ARGUMENTS_FILE: boot_text.write_arguments(recipe.board, verity),
    }
    files = {boot_text.KERNEL_FILE: packed, boot_text.INITRD_FILE: work / "initrd.img"}
    shutil.copyfile(initrd, files[boot_text.INITRD_FILE])
    _write_texts(work, texts, files)
    make_fat(target, "RITI-BOOT", derive_volume_id(seed, "boot"), SIZES.boot, files, epoch)


def _make_disk(target: Path, layout: Layout, boot: Path, root: Path, seed: str, epoch: int) -> None:
    work = target.parent
    files: dict[str, Path] = {}
    files[boot_text.SELECTION_FILE] = work / boot_text.SELECTION_FILE
    files[boot_text.SELECTION_FILE].write_bytes(write_selection(BOOT_A))
    selector, data = work / "selector.vfat", work / "data.ext4"
    make_fat(selector, "RITI-SELECT", derive_volume_id(seed, "selector"), SIZES.selector, files, epoch)
    make_data(data, derive_uuid(seed, "data"), derive_uuid(seed, "data hash"), SIZES.data, epoch)
    assemble(layout, {SELECTOR: selector, BOOT_A: boot, ROOT_A: root, DATA: data}, target)
    assert target.stat().st_size % MEBIBYTE == 0


def _write_texts(work: Path, texts: Mapping[str, str], files: dict[str, Path]) -> None:
    for name, text in texts.items():
        files[name] = work / name
        files[name].write_text(text)


def _list_components(recipe: Recipe, lock: Lock, places: Places) -> list[Component]:
    packages = (*lock.packages, *lock.find_kernel(recipe.flavour.name))
    nebula = Component(
        "nebula", NEBULA.version, f"pkg:golang/github.com/slackhq/nebula@v{NEBULA.version}", ""
    )
    requirements = places.box_os / "requirements.txt"
    return [
        *list_debian(packages, SUITE, ARCHITECTURE),
        *list_components(requirements, recipe.version),
        nebula,
    ]


def _code(*modules: str) -> str:
    return hash_tree(*(Path(__file__).with_name(f"{name}.py") for name in modules))
