"""The manifest's text, its refusals, and tree ids against Git's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ritilib.errors import GitopsError
from ritilib.fleet.fleet_file import Rollout
from ritilib.render.manifest import (
    FLEET_FOLDER,
    build_manifest,
    compute_tree_id,
    group_inputs,
    name_manifest,
    read_manifest,
    select_inputs,
)
from ritilib.render.rules import SyncRules, Windows

UUID = "6a1c2f0e-6a0b-4c36-9d3f-1f2e3d4c5b6a"
PATH = "rendered/acme/manifest.json"
GOOD = build_manifest("acme", "lab", UUID, "0.1.0", "a" * 40, {"salto": {"pbx/job.nomad.hcl": "job {}\n"}})


def ask_git(run_git: Callable[..., str], folder: Path, files: dict[str, bytes]) -> str:
    run_git(folder, "init", "-q", ".")
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    run_git(folder, "-c", "core.autocrlf=false", "add", "-A", "--force", ".")
    return run_git(folder, "write-tree")


def test_tree_id_is_the_one_that_git_writes(run_git: Callable[..., str], tmp_path: Path) -> None:
    # "a.b" < "a/" < "a0": the order in which Git differs from a plain sort of names.
    files = {
        "a/x": b"1",
        "a.b": b"2",
        "a0": b"3",
        "a-b/c/d": b"",
        "ñandú/ü.yaml": b"\x00\xff",
        "a/é": b"crlf\r\n",
    }
    assert compute_tree_id(files) == ask_git(run_git, tmp_path, files)


def test_tree_id_of_nothing_is_gits_empty_tree() -> None:
    assert compute_tree_id({}) == "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


NAMES = st.text("ab.-0_é", min_size=1, max_size=3).filter(lambda name: name not in {".", ".."})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=9), min_size=1
    )
)
def test_tree_id_equals_gits_for_any_files(
    run_git: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    kept = {
        path: body for path, body in files.items() if not any(other.startswith(f"{path}/") for other in files)
    }
    assert compute_tree_id(kept) == ask_git(run_git, tmp_path_factory.mktemp("any"), kept)


def test_manifest_is_sorted_and_comes_back_as_it_was() -> None:
    manifest = read_manifest(GOOD, PATH)
    assert manifest.boxes["salto"].files == {"pbx/job.nomad.hcl": hashlib.sha256(b"job {}\n").hexdigest()}
    assert (manifest.company, manifest.fleet, str(manifest.fleet_id)) == ("acme", "lab", UUID)
    assert json.dumps(json.loads(GOOD), indent=2, sort_keys=True) + "\n" == GOOD


def test_text_and_bytes_give_the_same_manifest() -> None:
    again = build_manifest(
        "acme", "lab", UUID, "0.1.0", "a" * 40, {"salto": {"pbx/job.nomad.hcl": b"job {}\n"}}
    )
    assert again == GOOD


WINDOWS = {"timezone": "America/Montevideo", "stretches": [{"days": "sun", "from": "02:00", "to": "04:00"}]}
UPKEEP = build_manifest(
    "acme",
    "lab",
    UUID,
    "0.1.0",
    "a" * 40,
    {"salto": {"a": ""}, "rivera": {"a": ""}},
    {"salto": {"canary": True, "windows": WINDOWS}},
)
WAVES = build_manifest(
    FLEET_FOLDER, "lab", UUID, "0.1.0", "a" * 40, {"lighthouse-one": {"a": ""}}, {}, Rollout(canaries=3)
)
FLEET_PATH = name_manifest(FLEET_FOLDER)


def test_what_the_controller_needs_comes_back_and_only_where_it_was_said() -> None:
    boxes = read_manifest(UPKEEP, PATH).boxes
    assert (boxes["rivera"].canary, boxes["rivera"].windows) == (False, None)
    assert boxes["salto"].canary
    assert boxes["salto"].windows == Windows.model_validate(WINDOWS)
    assert json.loads(UPKEEP)["boxes"]["rivera"].keys() == {"files"}
    assert read_manifest(WAVES, FLEET_PATH).rollout == Rollout(canaries=3)
    assert read_manifest(GOOD, PATH).rollout == Rollout()
    assert "rollout" not in GOOD


def test_what_is_left_alone_is_said_once_for_a_company_and_of_the_boxes_that_differ() -> None:
    night = {"windows": WINDOWS, "suspended": "the mast is down"}
    text = build_manifest(
        "acme",
        "lab",
        UUID,
        "0.1.0",
        "a" * 40,
        {"salto": {"a": ""}, "rivera": {"a": ""}},
        {"salto": {"sync": {}}},
        sync=night,
    )
    manifest = read_manifest(text, PATH)
    assert manifest.sync == SyncRules(suspended="the mast is down", windows=Windows.model_validate(WINDOWS))
    assert (manifest.boxes["salto"].sync, manifest.boxes["rivera"].sync) == (SyncRules(), None)
    assert "sync" not in GOOD and read_manifest(GOOD, PATH).sync == SyncRules()
    for bad, said in (
        (text.replace('"the mast is down"', '""'), "`sync.suspended`"),
        (text.replace('"the mast is down"', "true"), "`sync.suspended`"),
        (text.replace('"suspended"', '"suspend"'), "`sync.suspend`"),
        (text.replace('"acme"', '"_fleet"'), "no lighthouse's"),
    ):
        with pytest.raises(GitopsError, match=said.replace(".", r"\.")):
            read_manifest(bad, FLEET_PATH if "_fleet" in bad else PATH)


def test_removals_are_sorted_and_where_there_are_none_nothing_is_said() -> None:
    removals = ("zorro/uno", "acme", "zorro/uno")
    text = build_manifest(FLEET_FOLDER, "lab", UUID, "0.1.0", "a" * 40, {}, removals=removals)
    assert read_manifest(text, FLEET_PATH).removals == ["acme", "zorro/uno"]
    assert "removals" not in GOOD


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        (UPKEEP.replace("true", '"true"'), PATH, "`boxes.salto.canary`"),
        (UPKEEP.replace("America/Montevideo", "America/Nowhere"), PATH, "`boxes.salto.windows.timezone`"),
        (UPKEEP.replace("02:00", "2:00"), PATH, "`boxes.salto.windows.stretches.0.from`"),
        (UPKEEP.replace('"days"', '"day"'), PATH, "`boxes.salto.windows.stretches.0.day`"),
        (WAVES.replace('"canaries": 3', '"canaries": 0'), FLEET_PATH, "`rollout.canaries`"),
        (WAVES.replace('"_fleet"', '"acme"'), PATH, "`rollout` belongs into the manifest of _fleet"),
        (UPKEEP.replace('"acme"', '"_fleet"'), FLEET_PATH, "no lighthouse's"),
    ],
)
def test_upkeep_of_another_form_is_refused(text: str, path: str, said: str) -> None:
    with pytest.raises(GitopsError) as caught:
        read_manifest(text, path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (GOOD[: len(GOOD) // 2], "not JSON"),
        ("[]", "should be a valid dictionary"),
        (GOOD.replace('"format": 1', '"format": 2'), "`format`"),
        (GOOD.replace('"format": 1', '"format": 1, "extra": 1'), "`extra`"),
        (GOOD.replace('"riti"', '"rity"'), "`riti`: field required"),
        (GOOD.replace("pbx/job.nomad.hcl", "../../etc/passwd"), "`boxes.salto.files"),
        (GOOD.replace("pbx/job.nomad.hcl", "/etc/passwd"), "`boxes.salto.files"),
        (GOOD.replace('"salto"', '"Salto"'), "`boxes.Salto"),
        (GOOD.replace("a" * 40, "a" * 39), "`inputs`"),
        (GOOD.replace('"riti"', '"removals": ["../acme"], "riti"'), "`removals.0`"),
        (GOOD.replace('"riti"', '"removals": "acme", "riti"'), "`removals`"),
        (GOOD.replace(UUID, "no-uuid"), "`fleet_id`"),
        (GOOD.replace('"inputs"', f'"inputs": "{"b" * 40}", "inputs"'), "says `inputs` twice"),
        (GOOD.replace('"acme"', '"zorro"'), "belongs at rendered/zorro/manifest.json"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_manifest_of_another_form_is_refused_with_its_path(text: str, said: str) -> None:
    with pytest.raises(GitopsError) as caught:
        read_manifest(text, PATH)
    assert all(problem.file == PATH and problem.mend for problem in caught.value.problems)
    assert said in str(caught.value)


def test_all_problems_of_a_manifest_come_at_once() -> None:
    with pytest.raises(GitopsError) as caught:
        read_manifest(GOOD.replace("a" * 40, "short").replace(UUID, "none"), PATH)
    assert len(caught.value.problems) == 2


FILES = {
    "fleet/fleet.yaml": b"f",
    "fleet/companies/acme.yaml": b"a",
    "fleet/companies/zorro.yaml": b"z",
    "fleet/companies/.gitkeep": b"",
    "fleet/boxes/acme/salto.yaml": b"s",
    "fleet/boxes/acme/salto.yaml~": b"old",
    "fleet/boxes/zorro/paysandu.yaml": b"p",
    "fleet/boxes/nobody/x.yaml": b"x",
    "fleet/claims/overlay/100.80.0.1": b"lighthouse/one\n",
    "fleet/claims/overlay/100.80.0.2": b"acme/salto box\n",
    "fleet/claims/overlay/100.80.0.3": b"zorro/paysandu box\n",
    "fleet/claims/number/+59826001234": b"whatever\n",
    "rendered/acme/manifest.json": b"m",
    "README.md": b"r",
}


def test_a_company_is_rendered_from_its_own_files_and_claims() -> None:
    shared = {"fleet/fleet.yaml", "fleet/claims/number/+59826001234", "fleet/claims/overlay/100.80.0.1"}
    acme = {"fleet/companies/acme.yaml", "fleet/boxes/acme/salto.yaml", "fleet/claims/overlay/100.80.0.2"}
    assert set(select_inputs(FILES, "acme")) == shared | acme
    assert set(select_inputs(FILES, "_fleet")) == shared | {"fleet/claims/overlay/100.80.0.1"}
    assert set(group_inputs(FILES)) == {"acme", "zorro", "_fleet"}
    assert select_inputs(FILES, "nobody") == {}
