"""What a merge of another image needs: a bundle where the box finds it, the merge, and what came of it in Consul."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from boxos.running import read_built
from boxos.serve import Sent, answer
from boxos.update import name_versions, offer_changed
from ritilib.devstack.demo.deploy import merge_change
from ritilib.devstack.demo.lab import FLEET, Lab
from ritilib.reconcile.image_value import ImageValue, read_image_value
from ritilib.render.names import UnitNames
from ritilib.sync.seen.boxes import Update, read_report

FOLDER = "riti"


@contextmanager
def serve_newer(lab: Lab, work: Path) -> Iterator[tuple[str, str]]:
    """(version, folder's URL) of a bundle that is newer than what was built last, in the lab's public network."""
    built = read_built()
    version = name_versions(built.recipe.version).newer
    sent: dict[str, Sent] = {}
    name = replace(built.recipe, version=version).name
    offered = {f"{FOLDER}/{name}.raucb": offer_changed(built, work)}
    with answer(offered, sent, lab.running.public_address) as port:
        yield version, f"http://{lab.running.public_address}:{port}/{FOLDER}"


def merge_image(lab: Lab, version: str, bundles: str) -> None:
    """The whole fleet is to run it."""
    place = lab.work / "fleet" / "fleet.yaml"
    # a JSON value is YAML too
    wish = json.dumps({"version": version, "bundles": bundles})
    place.write_text(f"{place.read_text()}box_image: {wish}\n")
    merge_change(lab, f"Boxes run image {version}")


def read_update(lab: Lab, key: str) -> Update:
    """What the box of key said last of its image."""
    entry = lab.consul.read(UnitNames(FLEET, *key.split("/")).box_report)
    return (read_report(entry.value).update if entry else None) or Update()


def read_told(lab: Lab, key: str) -> ImageValue | None:
    """What the controller told the box of key, and what it knows of it; None: nothing yet."""
    entry = lab.consul.read(UnitNames(FLEET, *key.split("/")).box_image)
    return read_image_value(entry.value) if entry else None
