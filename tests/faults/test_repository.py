"""Rows about Git: whatever the repository shows, the last good commit stays in force, is healed, and nothing goes."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ritilib.gitops.forge import create_forge
from ritilib.render.language import write_json
from tests.faults.lab import MONTEVIDEO, RIVERA, SALTO, Controller, Lab
from tests.faults.witness import Witness
from tests.git_server import serve_git

GRACE = timedelta(minutes=10)


def expect_healed(lab: Lab, witness: Witness, key: str = MONTEVIDEO) -> None:
    """Drift is put back though Git is of no use."""
    place = lab.fleet.names(key).kv_key
    before = witness.servers.ask("CONSUL_HTTP", "GET", f"kv/{place}?raw").content
    witness.write_key(place, before.replace(b"Hangup", b"NoOp"))
    lab.wait(
        lambda: witness.servers.ask("CONSUL_HTTP", "GET", f"kv/{place}?raw").content == before,
        "waiting until the value is healed",
    )


@pytest.mark.row("failed clone and fetch")
def test_a_fetch_that_fails_deletes_nothing(lab: Lab, witness: Witness) -> None:
    """An office's grace period ends while Git is away, answers 500, breaks off, and says nothing."""
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    away = lab.fleet.forge.with_name("away.git")
    with serve_git(lab.fleet.forge.parent) as git, lab.serve(remote=f"{git.url}/forge.git") as one:
        lab.remove_box(SALTO)
        one.settle(lab.merge("Salto closes"))
        for trouble in ("away", "error", "cut", "hang"):
            lab.fleet.write(f"companies/{trouble}.yaml", f"name: {trouble}\n")
            git.trouble = trouble
            newest = lab.merge(f"a commit that is not fetched: {trouble}")
            if trouble == "away":
                lab.fleet.forge.rename(away)
            lab.clock.ahead += GRACE
            assert one.cycle()["commit"] != newest
            assert lab.is_running(SALTO), trouble
            expect_healed(lab, witness)
            lab.clock.ahead -= GRACE  # and with it the grace period begins anew
            one.cycle()
            if trouble == "away":
                away.rename(lab.fleet.forge)
            git.trouble = ""
            one.settle(newest)
        witness.let_go(lab.fleet, SALTO)
        lab.clock.ahead += GRACE
        one.cycle()
        lab.wait(lambda: not lab.is_running(SALTO), "waiting until Salto is stopped: all can be read again")


@pytest.mark.row("failed clone and fetch")
def test_a_clone_that_fails_leads_nobody(lab: Lab, witness: Witness) -> None:
    """A new instance without a repository neither leads nor writes; when there is one, it goes on."""
    away = lab.fleet.forge.with_name("away.git")
    lab.fleet.write_box("acme", "salto", "201", "202")
    commit = lab.merge("a second telephone")
    lab.fleet.forge.rename(away)
    with lab.serve() as one:
        one.wait_problem(str(lab.fleet.forge), "not-done")
        assert one.events("leads") == []
        away.rename(lab.fleet.forge)
        one.settle(commit)


@pytest.mark.row("emptied repository")
def test_a_repository_that_is_emptied_changes_nothing(lab: Lab, witness: Witness) -> None:
    witness.hold_calls(lab.fleet, MONTEVIDEO, "zorro/este")
    good = lab.fleet.git("rev-parse", "HEAD")
    with lab.serve() as one:
        one.settle(good)
        for lost in (["fleet/fleet.yaml"], ["rendered"], ["."], ["rendered/zorro"], ["fleet"]):
            lab.fleet.git("rm", "-r", "-f", "--quiet", *lost)
            expect_refused(lab, one, lab.fleet.push(f"{lost} is gone"), good)
            expect_healed(lab, witness)
            lab.fleet.git("checkout", good, "--", ".")
        # the branch is gone, then the whole repository is new and empty
        lab.fleet.push("as it was")
        aside = lab.fleet.forge.with_name("aside.git")
        lab.fleet.forge.rename(aside)
        create_forge(lab.fleet.forge)
        lab.clock.ahead += GRACE
        one.wait_problem("no branch", "not-done")
        one.cycle()
        expect_healed(lab, witness)
        shutil.rmtree(lab.fleet.forge)
        aside.rename(lab.fleet.forge)
        lab.fleet.write_box("acme", "salto", "201", "202")
        one.settle(lab.merge("a second telephone"))


def expect_refused(lab: Lab, one: Controller, commit: str, good: str) -> None:
    """The commit is looked at, and however long it stays the newest, the good one is in force."""
    known = len(one.events("not-done"))
    lab.wait(
        lambda: any(
            commit[:12] in str(told) or told["part"] == "git" for told in one.events("not-done")[known:]
        ),
        f"waiting until {commit[:12]} is refused",
    )
    lab.clock.ahead += GRACE
    assert one.cycle().get("commit") == good


def edit_manifest(change: Callable[[dict], object]) -> Callable[[Path], None]:
    def edit(work: Path) -> None:
        path = work / "rendered/acme/manifest.json"
        said = json.loads(path.read_text())
        change(said)
        path.write_text(write_json(said))

    return edit


def rewrite(path: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda work: (work / path).write_bytes(change((work / path).read_bytes())) and None


MANIFEST = "rendered/acme/manifest.json"
HARM: dict[str, Callable[[Path], object]] = {
    "missing": lambda work: (work / MANIFEST).unlink(),
    "empty": rewrite(MANIFEST, lambda _: b""),
    "truncated": rewrite(MANIFEST, lambda text: text[: len(text) // 2]),
    "truncated at a line": rewrite(MANIFEST, lambda text: b"\n".join(text.split(b"\n")[:-3])),
    "without a box": edit_manifest(lambda said: said["boxes"].pop("salto")),
    "without boxes": edit_manifest(lambda said: said["boxes"].clear()),
    "another's": edit_manifest(lambda said: said.update(company="zorro")),
    "of another fleet": edit_manifest(lambda said: said.update(fleet="other")),
    "a file changed": rewrite(
        "rendered/acme/salto/pbx/live/extensions.conf", lambda text: text + b"; more\n"
    ),
    "a file missing": lambda work: (work / "rendered/acme/salto/pbx/secrets.json").unlink(),
    "a file too many": lambda work: (work / "rendered/acme/salto/pbx/more").write_text("more"),
}


@pytest.mark.row("manifest missing, truncated, or not matching its files")
def test_a_manifest_that_is_not_right_changes_nothing(lab: Lab, witness: Witness) -> None:
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    good = lab.fleet.git("rev-parse", "HEAD")
    with lab.serve() as one:
        one.settle(good)
        for what, harm in HARM.items():
            harm(lab.fleet.work)
            expect_refused(lab, one, lab.fleet.push(f"the manifest: {what}"), good)
            lab.fleet.git("checkout", good, "--", ".")
            lab.fleet.git("clean", "-dfq")
        expect_healed(lab, witness)
        lab.fleet.write_box("acme", "salto", "201", "202")
        one.settle(lab.merge("a second telephone"))


@pytest.mark.row("manifest missing, truncated, or not matching its files")
def test_a_stale_manifest_holds_its_company_alone(lab: Lab, witness: Witness) -> None:
    """A box is taken out, and nobody renders: nothing of that company is changed or removed, others go on."""
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        lab.remove_box(SALTO)
        stale = lab.fleet.push("Salto is taken out, and nobody rendered")
        one.wait_problem("stale", "held")
        lab.clock.ahead += GRACE
        assert one.cycle()["commit"] == stale
        assert lab.is_running(SALTO)
        expect_healed(lab, witness, "zorro/este")
        lab.fleet.write_box("acme", "salto", "201")
        one.settle(lab.merge("Salto is back"))


UNREADABLE: dict[str, tuple[str, bytes]] = {
    "fleet.yaml": ("fleet/fleet.yaml", b"name: [\n"),
    "fleet.yaml, not UTF-8": ("fleet/fleet.yaml", b"name: \xff\n"),
    "a box": ("fleet/boxes/acme/salto.yaml", b"extensions: {{\n"),
    "a company": ("fleet/companies/acme.yaml", b"\x00"),
    "a manifest": ("rendered/acme/manifest.json", b"{{"),
}


@pytest.mark.row("a file that no longer parses")
def test_a_file_that_no_longer_parses_changes_nothing(lab: Lab, witness: Witness) -> None:
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    good = lab.fleet.git("rev-parse", "HEAD")
    with lab.serve() as one:
        one.settle(good)
        for what, (path, text) in UNREADABLE.items():
            (lab.fleet.work / path).write_bytes(text)
            known = len(one.events("held")) + len(one.events("not-done"))
            lab.fleet.push(f"{what} does not parse")
            lab.wait(
                lambda: len(one.events("held")) + len(one.events("not-done")) > known,  # noqa: B023
                f"waiting until {what} is found",
            )
            lab.clock.ahead += GRACE
            one.cycle()
            lab.fleet.git("checkout", good, "--", ".")
            one.settle(lab.fleet.push("as it was"))
        expect_healed(lab, witness)


LISTED: dict[str, tuple[str, str]] = {
    "job": ("pbx/job.nomad.hcl", 'job "x" {{{'),
    "secrets": ("pbx/secrets.json", "[[["),
    "Consul policy": ("pbx/consul-policy.hcl", "key_prefix {{{"),
    "Vault policy": ("pbx/vault-policy.hcl", "path {{{"),
}


@pytest.mark.row("a file that no longer parses")
def test_a_listed_file_that_a_server_cannot_read_stops_its_unit_alone(lab: Lab, witness: Witness) -> None:
    """The manifest is right, and what it lists is nonsense: that unit fails, the others go on."""
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    good = lab.fleet.git("rev-parse", "HEAD")
    with lab.serve() as one:
        one.settle(good)
        for number, (what, (path, text)) in enumerate(LISTED.items()):
            lab.fleet.write_box("zorro", "este", "401", f"41{number}")
            lab.fleet.render()
            (lab.fleet.work / "rendered/acme/salto" / path).write_text(text)
            digest = hashlib.sha256(text.encode()).hexdigest()
            edit_manifest(lambda said: said["boxes"]["salto"]["files"].update({path: digest}))(lab.fleet.work)  # noqa: B023
            known = len(one.events("problem"))
            commit = lab.fleet.push(f"Salto's {what} cannot be read")
            lab.wait(lambda: len(one.events("problem")) > known, f"waiting for a problem with the {what}")  # noqa: B023
            assert all("acme/salto" in told for told in one.list_problems()[known:])
            place = f"riti/{lab.fleet.name}/pbx/zorro/este/1?raw"
            lab.wait(
                lambda: f"41{number}" in witness.servers.ask("CONSUL_HTTP", "GET", f"kv/{place}").text,  # noqa: B023
                "waiting for the other office's telephone",
            )
            lab.clock.ahead += GRACE
            one.cycle()
            assert commit
        one.settle(lab.merge("all can be read again"))


@pytest.mark.row("a file that no longer parses")
def test_an_inventory_entry_that_no_longer_parses_deletes_nothing(lab: Lab, witness: Witness) -> None:
    """A hand's nonsense in Consul fails each cycle as a whole; taken out, all is made again from Git and Nomad."""
    witness.hold_calls(lab.fleet, MONTEVIDEO, SALTO)
    with lab.serve() as one:
        one.settle(lab.fleet.git("rev-parse", "HEAD"))
        witness.write_key(f"riti/{lab.fleet.name}/inventory/acme/salto", b"{nonsense")
        lab.remove_box(RIVERA)
        lab.merge("Rivera closes")
        one.wait_problem("is not as this version of RITI writes it")
        lab.clock.ahead += GRACE
        assert one.cycle() == {}
        lab.fleet.write_box("acme", "rivera", "301")
        commit = lab.merge("Rivera is back")
        witness.delete_key(f"riti/{lab.fleet.name}/inventory/acme/salto")
        one.settle(commit)


@pytest.mark.row("force-push and rewritten history")
def test_a_rewritten_history_is_refused_until_somebody_names_it(lab: Lab, witness: Witness) -> None:
    """By the instance that knew the history, by a new one, and by one that knows an older commit."""
    witness.hold_calls(lab.fleet, MONTEVIDEO)
    older = lab.fleet.git("rev-parse", "HEAD")
    with lab.serve("behind") as behind:
        behind.settle(older)
    lab.fleet.write_box("acme", "salto", "201", "202")
    good = lab.merge("a second telephone")
    with lab.serve() as one:
        one.settle(good)
        # an older commit; then a commit of another's that forgets the newest and takes out an office
        lab.fleet.git("push", "--quiet", "--force", "origin", f"{older}:main")
        expect_refused(lab, one, older, good)
        lab.fleet.git("reset", "--quiet", "--hard", older)
        lab.remove_box(RIVERA)
        rewritten = push_rewritten(lab, "Rivera closes, on a rewritten branch")
        expect_refused(lab, one, rewritten, good)
        expect_healed(lab, witness)
    for name in ("new", "behind"):
        with lab.serve(name) as other:
            other.wait_problem("was rewritten", "not-done" if name == "new" else "problem")
            lab.clock.ahead += GRACE
            assert lab.is_running(RIVERA)
    # an unrelated history with the same files
    lab.fleet.git("checkout", "--quiet", "--orphan", "unrelated", good)
    unrelated = push_rewritten(lab, "the same files, and another root")
    with lab.serve() as one:
        expect_refused(lab, one, unrelated, good)
    lab.fleet.git("checkout", "--quiet", "-B", "main", good)
    lab.fleet.write_box("acme", "salto", "201", "203")
    final = push_rewritten(lab, "a third telephone")
    with lab.serve("named", rewritten=final) as named:
        named.settle(final)


def push_rewritten(lab: Lab, message: str) -> str:
    lab.fleet.render()
    return lab.fleet.push(message, "--force")
