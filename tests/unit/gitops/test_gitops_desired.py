"""One commit as the desired state: what is read, what is held, and every refusal."""

from __future__ import annotations

import hashlib
import re
import shutil
import zlib
from pathlib import Path

import pytest

from ritilib.errors import GitopsError
from ritilib.gitops.desired import Reader, read_desired, read_newer


def refuse(folder: Path, rev: str = "HEAD") -> GitopsError:
    with pytest.raises(GitopsError) as caught:
        read_desired(folder, rev)
    assert all(problem.mend for problem in caught.value.problems)
    return caught.value


def test_every_unit_comes_with_its_files(clone) -> None:
    desired = read_desired(clone.folder, "main")
    assert [(unit.key, unit.kind) for unit in desired.units] == [
        ("acme/montevideo", "pbx"),
        ("acme/salto", "pbx"),
        ("lighthouse/one", "lighthouse"),
        ("zorro/paysandu", "pbx"),
    ]
    assert desired.units[2].files == {"job.nomad.hcl": "lighthouse ñ\n"}
    assert desired.units[1].files["pbx/job.nomad.hcl"].startswith("# fleet/boxes/acme/salto.yaml")
    assert (desired.fleet, desired.held) == ("lab", ())
    assert desired.commit == clone.git("rev-parse", "main")
    assert desired.root_commit == clone.git("rev-list", "--max-parents=0", "main")


def test_only_the_commit_is_read_and_never_the_work_tree(clone) -> None:
    before = read_desired(clone.folder, "main")
    shutil.rmtree(clone.folder / "rendered")
    clone.write("fleet/fleet.yaml", "broken: [")
    assert read_desired(clone.folder, "main") == before


def test_a_bare_repository_serves_as_well(pushed, forge: Path) -> None:
    assert read_desired(forge, "main") == read_desired(pushed.folder, "main")


def test_an_older_commit_is_read_as_it_was(clone) -> None:
    clone.add_box("zorro", "artigas", "100.80.0.9")
    clone.render()
    clone.commit()
    assert len(read_desired(clone.folder, "HEAD").units) == 5
    assert len(read_desired(clone.folder, "HEAD~1").units) == 4


def test_a_stale_company_is_held_and_the_others_go_on(clone) -> None:
    clone.add_box("zorro", "artigas", "100.80.0.9")
    clone.commit("edited on the forge, not rendered")
    desired = read_desired(clone.folder, "HEAD")
    assert [company for company, _ in desired.held] == ["zorro"]
    problem = desired.held[0][1]
    assert (
        problem.file == "rendered/zorro/manifest.json"
        and "stale" in problem.what
        and "riti render" in problem.mend
    )
    assert [unit.key for unit in desired.units] == ["acme/montevideo", "acme/salto", "lighthouse/one"]


def test_another_fleet_file_holds_everything(clone) -> None:
    text = (clone.folder / "fleet/fleet.yaml").read_text(encoding="utf-8")
    clone.write("fleet/fleet.yaml", text.replace("country: UY", "country: AR"))
    clone.commit()
    desired = read_desired(clone.folder, "HEAD")
    assert [company for company, _ in desired.held] == ["_fleet", "acme", "zorro"] and desired.units == ()


def test_two_clean_merges_that_are_stale_together_are_held(clone) -> None:
    """One renders a new box, the other edits the company without rendering: Git sees no conflict."""
    clone.git("switch", "-q", "-c", "other")
    clone.write("fleet/companies/acme.yaml", "name: acme\nsecrets_generation: 2\n")
    clone.commit()
    clone.git("switch", "-q", "main")
    clone.add_box("acme", "artigas", "100.80.0.9")
    clone.render()
    clone.commit()
    clone.git("merge", "-q", "--no-edit", "other")
    assert [company for company, _ in read_desired(clone.folder, "HEAD").held] == ["acme"]


def test_boxes_of_two_companies_merge_without_a_render_in_between(clone) -> None:
    clone.git("switch", "-q", "-c", "other")
    clone.add_box("zorro", "artigas", "100.80.0.8")
    clone.render()
    clone.commit()
    clone.git("switch", "-q", "main")
    clone.add_box("acme", "artigas", "100.80.0.9")
    clone.render()
    clone.commit()
    clone.git("merge", "-q", "--no-edit", "other")
    desired = read_desired(clone.folder, "HEAD")
    assert desired.held == () and len(desired.units) == 6


def test_a_closed_company_is_gone_in_fleet_and_in_rendered(clone) -> None:
    (clone.folder / "fleet/companies/zorro.yaml").unlink()
    shutil.rmtree(clone.folder / "fleet/boxes/zorro")
    clone.render()
    clone.commit()
    assert {unit.key for unit in read_desired(clone.folder, "HEAD").units} == {
        "acme/montevideo",
        "acme/salto",
        "lighthouse/one",
    }


def approve(clone, *removals: str, rendered: bool = True) -> None:
    """What an engineer writes into fleet.yaml, and what `riti render` makes of it."""
    text = (clone.folder / "fleet/fleet.yaml").read_text(encoding="utf-8")
    clone.write("fleet/fleet.yaml", f"{text}removals: [{', '.join(removals)}]\nremoval_grace_min: 30\n")
    if rendered:
        clone.render()
    clone.commit()


def test_removals_are_read_where_they_were_rendered(clone) -> None:
    assert read_desired(clone.folder, "main").removals == ()
    assert read_desired(clone.folder, "main").removal_grace_min == 10
    approve(clone, "zorro/gone", "lab", "zorro/gone")
    desired = read_desired(clone.folder, "main")
    assert (desired.removals, desired.removal_grace_min) == (("lab", "zorro/gone"), 30)


def test_removals_that_nobody_rendered_approve_nothing(clone) -> None:
    approve(clone, "lab", rendered=False)
    desired = read_desired(clone.folder, "main")
    assert desired.removals == ()
    assert "_fleet" in dict(desired.held)


@pytest.mark.parametrize("company", ["_fleet", "acme"])
def test_removals_that_only_a_manifest_approves_are_refused(clone, company: str) -> None:
    by = '"removals": ["zorro"], "riti"'
    break_manifest(clone, '"riti"', by, company)
    clone.commit()
    [problem] = refuse(clone.folder).problems
    assert problem.file == f"rendered/{company}/manifest.json"
    assert "approves other `removals` than fleet/fleet.yaml" in problem.what


def test_a_newer_commit_is_read_and_the_same_one_is_not(clone) -> None:
    desired = read_desired(clone.folder, "main")
    assert read_newer(clone.folder, "main", desired) is desired
    clone.add_box("zorro", "artigas", "100.80.0.9")
    clone.render()
    clone.commit()
    assert len(read_newer(clone.folder, "main", desired).units) == len(desired.units) + 1


def test_a_reader_takes_over_what_did_not_change(clone) -> None:
    reader = Reader()
    before = reader.read(clone.folder, "main")
    clone.add_box("zorro", "artigas", "100.80.0.9")
    clone.render()
    clone.commit()
    after = reader.read(clone.folder, "main")
    assert after == read_desired(clone.folder, "main")
    assert [unit.key for unit in after.units if unit in before.units] == [one.key for one in before.units]
    same = [one is other for one in after.units for other in before.units if one.key == other.key]
    assert same == [True, True, True, False]  # Paysandú's company was read again
    assert reader.read(clone.folder, "HEAD~1") == before


@pytest.mark.parametrize("file", ["fleet/boxes/acme/salto.yaml", "fleet/claims/overlay/100.80.0.3"])
def test_a_reader_sees_that_a_company_has_become_stale(clone, file: str) -> None:
    reader = Reader()
    reader.read(clone.folder, "main")
    clone.write(file, (clone.folder / file).read_text(encoding="utf-8") + "\n")
    clone.commit("edited on the forge, not rendered")
    assert [company for company, _ in reader.read(clone.folder, "main").held] == ["acme"]


def test_a_reader_that_was_refused_reads_the_next_commit(clone) -> None:
    reader = Reader()
    before = reader.read(clone.folder, "main")
    text = (clone.folder / JOB).read_text(encoding="utf-8")
    clone.write(JOB, "")
    clone.commit()
    with pytest.raises(GitopsError, match="its hash differs"):
        reader.read(clone.folder, "main")
    clone.write(JOB, text)
    clone.commit()
    assert reader.read(clone.folder, "main").units == before.units


MANIFEST = "rendered/acme/manifest.json"
JOB = "rendered/acme/salto/pbx/job.nomad.hcl"


def break_manifest(clone, pattern: str, by: str, company: str = "acme") -> None:
    path = f"rendered/{company}/manifest.json"
    text = (clone.folder / path).read_text(encoding="utf-8")
    changed = re.sub(pattern, by, text, count=1, flags=re.DOTALL)
    assert changed != text
    clone.write(path, changed)


@pytest.mark.parametrize(
    ("damage", "file", "what"),
    [
        (lambda c: (c.folder / MANIFEST).unlink(), MANIFEST, "is missing"),
        (lambda c: c.write(MANIFEST, ""), MANIFEST, "is empty"),
        (lambda c: break_manifest(c, r"\n  \"inputs.*", ""), MANIFEST, "not JSON"),
        (
            lambda c: break_manifest(c, r'"boxes": \{.*?\n  \},', '"boxes": {},'),
            MANIFEST,
            "does not list `salto`",
        ),
        (lambda c: break_manifest(c, '"salto"', '"artigas"'), MANIFEST, "lists `artigas`"),
        (
            lambda c: break_manifest(c, '"fleet": "lab"', '"fleet": "gym"'),
            MANIFEST,
            "belongs to the fleet `gym`",
        ),
        (
            lambda c: break_manifest(c, '"fleet_id": "........', '"fleet_id": "00000000'),
            MANIFEST,
            "belongs to the fleet",
        ),
        (lambda c: (c.folder / JOB).unlink(), JOB, "is missing, and the manifest lists it"),
        (lambda c: c.write(JOB, ""), JOB, "its hash differs"),
        (
            lambda c: c.write("rendered/acme/salto/extra.conf", ""),
            "rendered/acme/salto/extra.conf",
            "listed by no",
        ),
        (lambda c: c.write("rendered/notes.txt", ""), "rendered/notes.txt", "listed by no manifest"),
        (lambda c: shutil.rmtree(c.folder / "rendered"), "rendered/_fleet/manifest.json", "is missing"),
        (
            lambda c: (c.folder / "fleet/companies/acme.yaml").unlink(),
            "rendered/acme",
            "belongs to no company",
        ),
        (
            lambda c: c.write("fleet/companies/new.yaml", "name: New\n"),
            "rendered/new/manifest.json",
            "is missing",
        ),
        (
            lambda c: shutil.rmtree(c.folder / "rendered/_fleet"),
            "rendered/_fleet/manifest.json",
            "is missing",
        ),
        (lambda c: (c.folder / "fleet/fleet.yaml").unlink(), "fleet/fleet.yaml", "is missing"),
        (lambda c: c.write("fleet/fleet.yaml", "a: ["), "fleet/fleet.yaml", "not YAML"),
        (lambda c: c.write("fleet/fleet.yaml", "name: lab\n"), "fleet/fleet.yaml", "`id` is missing"),
    ],
)
def test_damage_is_refused_and_named(clone, damage, file: str, what: str) -> None:
    damage(clone)
    clone.commit()
    error = refuse(clone.folder)
    assert any(problem.file == file and what in problem.what for problem in error.problems), str(error)


def test_an_emptied_lighthouse_manifest_is_refused(clone) -> None:
    break_manifest(clone, r'"boxes": \{.*?\n  \},', '"boxes": {},', "_fleet")
    shutil.rmtree(clone.folder / "rendered/_fleet/lighthouse-one")
    clone.commit()
    assert "does not list `lighthouse-one`" in str(refuse(clone.folder))


def test_all_damage_is_told_at_once(clone) -> None:
    (clone.folder / JOB).unlink()
    clone.write("rendered/stray", "")
    clone.write("rendered/zorro/manifest.json", "{}")
    clone.commit()
    assert {problem.file for problem in refuse(clone.folder).problems} == {
        JOB,
        "rendered/stray",
        "rendered/zorro/manifest.json",
    }


def test_a_listed_file_that_is_no_text_is_refused(clone) -> None:
    (clone.folder / JOB).write_bytes(b"\xff\xfe")
    digest = hashlib.sha256(b"\xff\xfe").hexdigest()
    break_manifest(clone, r'("salto".*?job.nomad.hcl": ")[0-9a-f]{64}', rf"\g<1>{digest}")
    clone.commit()
    assert "is not UTF-8" in str(refuse(clone.folder))


def test_links_that_lead_out_of_the_commit_are_refused(clone) -> None:
    (clone.folder / JOB).unlink()
    (clone.folder / JOB).symlink_to("/etc/passwd")
    clone.commit()
    assert "is a symbolic link" in str(refuse(clone.folder))


def test_a_changed_fleet_id_is_refused(clone) -> None:
    text = (clone.folder / "fleet/fleet.yaml").read_text(encoding="utf-8")
    clone.write("fleet/fleet.yaml", re.sub("(?m)^id: ........", "id: 00000000", text))
    clone.commit()
    problem = refuse(clone.folder).problems[0]
    assert (problem.file, problem.line) == ("fleet/fleet.yaml", 5) and "root commit" in problem.what


def test_files_copied_into_another_repository_are_refused(clone, run_git, tmp_path: Path) -> None:
    shutil.copytree(clone.folder, tmp_path / "copy", ignore=shutil.ignore_patterns(".git"))
    run_git(tmp_path / "copy", "init", "-q", "-b", "main")
    run_git(tmp_path / "copy", "add", "-A")
    run_git(tmp_path / "copy", "commit", "-q", "-m", "my fleet now")
    assert "RITI-Fleet" in str(refuse(tmp_path / "copy"))


def test_a_second_root_is_refused(clone, run_git) -> None:
    tree = clone.git("rev-parse", "HEAD^{tree}")
    other = run_git(clone.folder, "commit-tree", tree, "-m", "RITI-Fleet: another")
    clone.git("merge", "-q", "--no-edit", "--allow-unrelated-histories", "-s", "ours", other)
    assert "2 root commits" in str(refuse(clone.folder))


def test_a_shallow_clone_is_refused(pushed, forge: Path, run_git, tmp_path: Path) -> None:
    run_git(tmp_path, "clone", "-q", "--depth", "1", f"file://{forge}", "shallow")
    assert "--unshallow" in str(refuse(tmp_path / "shallow"))


def test_a_lost_object_is_refused(clone) -> None:
    blob = clone.git("rev-parse", f"HEAD:{JOB}")
    (clone.folder / ".git/objects" / blob[:2] / blob[2:]).unlink()
    assert "is missing" in str(refuse(clone.folder))


@pytest.mark.parametrize("share", [0, 2])
def test_a_damaged_object_is_refused(clone, share: int) -> None:
    """Nothing left of it, which Git calls missing; or half of it, at which Git stops."""
    blob = clone.git("rev-parse", f"HEAD:{JOB}")
    whole = zlib.compress(
        b"blob 99990\0" + b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(3125))[:99990]
    )
    place = clone.folder / ".git/objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(whole[: len(whole) // share] if share else b"")
    assert ("git fsck" if share else "damaged") in str(refuse(clone.folder))


def test_a_replaced_object_is_not_followed(clone, run_git) -> None:
    """refs/replace would show other content under the same commit."""
    blob = clone.git("rev-parse", f"HEAD:{JOB}")
    other = run_git(clone.folder, "hash-object", "-w", "--stdin", stdin="other")
    before = read_desired(clone.folder, "HEAD")
    clone.git("replace", blob, other)
    assert read_desired(clone.folder, "HEAD") == before


def test_what_is_no_repository_or_commit_is_refused(clone, tmp_path: Path) -> None:
    assert "is no commit" in str(refuse(clone.folder, "nowhere"))
    assert "is no commit" in str(refuse(clone.folder, "--all"))
    assert "is no folder" in str(refuse(tmp_path / "absent"))
    assert "is no Git repository" in str(refuse(tmp_path))
    assert "a folder inside the repository" in str(refuse(clone.folder / "fleet"))
    assert "is the inside of" in str(refuse(clone.folder / ".git"))
