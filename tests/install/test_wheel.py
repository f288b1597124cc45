"""The wheel carries what the checkout has beside the code, and works without the checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INPUTS = ("pyproject.toml", "setup.py", "requirements.txt", "README.md", "ritilib", "jobs", "repo-layout")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the checkout gets no build folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in INPUTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    subprocess.run(build, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_assets(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.endswith("/")}
    for folder in ("jobs", "repo-layout"):
        files = [path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file()]
        assert files
        for file in files:
            assert f"ritilib/_assets/{file}" in held
    assert "ritilib/_assets/requirements.txt" in held
    for recipe in ("nomad", "consul", "nebula"):
        assert f"ritilib/devstack/machine/recipes/{recipe}/go.sum" in held
    for pattern in ("*.py", "*.j2"):
        for file in (ROOT / "ritilib").rglob(pattern):
            assert str(file.relative_to(ROOT)) in held


def test_an_installed_wheel_renders_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        str(site),
    ]
    subprocess.run([*install, str(wheel)], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    author = {
        f"GIT_{role}_{what}": "test@example.invalid"
        for role in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(site)} | author

    def riti(*arguments: str) -> str:
        argv = [sys.executable, "-m", "ritilib", *arguments]
        done = subprocess.run(
            argv, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    riti("init", "telephones", "--fleet", "demo")
    for folder in ("companies", "boxes"):
        shutil.copytree(
            ROOT / "examples/fleet" / folder, tmp_path / "telephones/fleet" / folder, dirs_exist_ok=True
        )
    riti("render", "--repo", "telephones")
    assert "3 boxes" in riti("validate", "--repo", "telephones")
    where = "import ritilib; print(ritilib.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", where],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.startswith(str(site))
