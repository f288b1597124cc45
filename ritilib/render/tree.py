"""The whole rendered tree of a fleet, manifests and claims included."""

from __future__ import annotations

from collections.abc import Mapping

from ritilib.fleet.claims import CLAIMS_FOLDER
from ritilib.fleet.fleet_file import Rollout
from ritilib.fleet.load import Loaded
from ritilib.fleet.model import Fleet
from ritilib.render.manifest import (
    FLEET_FOLDER,
    build_manifest,
    compute_tree_id,
    group_inputs,
    name_manifest,
)
from ritilib.render.unit import render_box, render_lighthouse, render_pbx, render_words
from ritilib.render.upkeep import describe_sync, list_upkeep
from ritilib.routing.directory import build_directory


def render_tree(loaded: Loaded, files: Mapping[str, bytes], riti: str) -> dict[str, str]:
    """path in the repository → text, for everything under rendered/ and fleet/claims/.

    files are the fleet's own files (path → content) that `loaded` came from; riti is the version that renders. The
    same arguments give the same bytes (rule 2).
    """
    tree: dict[str, str] = dict(loaded.claims)
    inputs = list_inputs(loaded, files)
    for folder in inputs:
        tree |= render_folder(loaded.fleet, folder, inputs[folder], riti)
    return tree


def list_inputs(loaded: Loaded, files: Mapping[str, bytes]) -> dict[str, dict[str, bytes]]:
    """folder of rendered/ (a company, or "_fleet") → the files that it is rendered from, its new claims included."""
    said = {path: content for path, content in files.items() if not path.startswith(CLAIMS_FOLDER)}
    return group_inputs(said | {path: text.encode() for path, text in loaded.claims.items()})


def render_folder(fleet: Fleet, folder: str, inputs: Mapping[str, bytes], riti: str) -> dict[str, str]:
    """path in the repository → text, for everything under rendered/<folder>/; inputs are those of list_inputs."""
    rollout, upkeep, company = Rollout(), {}, None
    removals: tuple[str, ...] = ()
    if folder == FLEET_FOLDER:
        rollout, removals = fleet.said.rollout, fleet.said.removals
        units = {
            f"lighthouse-{lighthouse.name}": render_lighthouse(fleet, lighthouse, address)
            for lighthouse, address in zip(fleet.said.lighthouses, fleet.lighthouse_addresses, strict=True)
        }
    else:
        company = next(one for one in fleet.companies if one.slug == folder)
        upkeep = list_upkeep(fleet, company)
        directory = build_directory(fleet, company)
        words = render_words(company)
        units = {
            box.slug: render_pbx(fleet, company, box, directory)
            | render_box(fleet, company, box, directory)
            | words
            for box in company.boxes
        }
    placed = {
        f"rendered/{folder}/{unit}/{path}": text
        for unit, files in units.items()
        for path, text in files.items()
    }
    placed[name_manifest(folder)] = build_manifest(
        folder,
        fleet.name,
        str(fleet.said.id),
        riti,
        compute_tree_id(inputs),
        units,
        upkeep,
        rollout,
        removals,
        describe_sync(fleet, company),
    )
    return placed
