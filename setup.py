"""Puts jobs/, repo-layout/ and the lock into the wheel as ritilib/_assets; all else stands in pyproject.toml."""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
ASSET_FOLDERS = ("jobs", "repo-layout")
LOCK = "requirements.txt"  # by which the controller's image is made


class BuildWithAssets(build_py):
    """Copies the asset folders beside the code; an editable install reads the checkout itself."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder in ASSET_FOLDERS:
            target = Path(self.build_lib) / "ritilib" / "_assets" / folder
            shutil.rmtree(target, ignore_errors=True)
            shutil.copytree(ROOT / folder, target)
        shutil.copy(ROOT / LOCK, Path(self.build_lib) / "ritilib" / "_assets" / LOCK)


setup(
    packages=find_packages(include=["ritilib", "ritilib.*"]),
    package_data={
        "ritilib": ["py.typed"],
        "ritilib.devstack.machine": ["recipes/*/*"],
        "ritilib.render": ["templates/*.j2", "templates/*/*.j2"],
    },
    cmdclass={"build_py": BuildWithAssets},
)
