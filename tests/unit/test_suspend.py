"""`riti suspend` and `riti resume`: what they write, refuse and say; Consul is the fake, Git is real."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ritilib.cli import suspend as command
from ritilib.cli.main import main
from ritilib.errors import Conflict
from ritilib.gitops.command import run_git
from ritilib.reconcile.suspensions import Suspension
from ritilib.sync.observe import read_suspensions
from ritilib.sync.pausing import suspend
from tests.fakes.consul import FakeConsul
from tests.unit.fleets import ACME, FLEET, SALTO, make_files

PREFIX = "riti/demo/inventory/_suspended/"
REASON = "the provider works on the line"


@pytest.fixture
def consul(monkeypatch: pytest.MonkeyPatch) -> FakeConsul:
    made = FakeConsul()
    monkeypatch.setenv("CONSUL_HTTP_ADDR", "127.0.0.1:1")
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "a-persons-own")
    for server in ("NOMAD", "VAULT"):
        monkeypatch.delenv(f"{server}_ADDR", raising=False)
        monkeypatch.delenv(f"{server}_TOKEN", raising=False)
    monkeypatch.setattr(command, "Consul", lambda settings: made)
    return made


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The good fleet, committed to main."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ana")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ana@example.org")
    run_git(tmp_path, "init", "--quiet", "--initial-branch=main")
    commit(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def commit(repo: Path, **changed: str) -> None:
    for path, content in make_files(**changed).items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_bytes(content)
    for words in (("add", "."), ("commit", "--quiet", "-m", "the fleet")):
        run_git(repo, *words)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["riti", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def read_one(consul: FakeConsul) -> Suspension:
    (found,) = read_suspensions("demo", consul)
    return found


@pytest.mark.parametrize(
    ("scope", "key"), [((), "_fleet"), (("acme",), "acme"), (("acme/salto",), "acme/salto")]
)
def test_who_when_and_why_are_written_for_the_scope(
    repo: Path,
    consul: FakeConsul,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scope: tuple[str, ...],
    key: str,
) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    assert run(monkeypatch, "suspend", *scope, "--why", REASON) == 0
    said = capsys.readouterr()
    name = scope[0] if scope else "the fleet"
    assert said.out == f"{name} is suspended: {REASON}\n"
    assert said.err == f"next: {' '.join(('riti resume', *scope))}\n"
    assert list(consul.entries) == [PREFIX + key]
    found = read_one(consul)
    assert (found.scope, found.why, found.until, found.fault) == ("".join(scope), REASON, "", None)
    assert "@" in found.who and before <= datetime.fromisoformat(found.since) <= datetime.now(UTC)
    assert run(monkeypatch, "resume", *scope) == 0
    assert "that is lifted" in capsys.readouterr().out
    assert not read_one(consul).is_in_force(datetime.now(UTC))
    assert read_one(consul).lifted_by == found.who
    assert run(monkeypatch, "resume", *scope) == 0
    assert "suspended nothing by this name" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "lasts"),
    [
        (("--for", "90m"), timedelta(minutes=90)),
        (("--for", "2h"), timedelta(hours=2)),
        (("--for", "3d"), timedelta(days=3)),
    ],
)
def test_it_lasts_as_long_as_is_said(
    repo: Path,
    consul: FakeConsul,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    lasts: timedelta,
) -> None:
    assert run(monkeypatch, "suspend", "acme", "--why", REASON, *words) == 0
    found = read_one(consul)
    assert found.ends == datetime.fromisoformat(found.since) + lasts


def test_until_a_time_in_its_zone(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "suspend", "--why", REASON, "--until", "2999-12-24T18:00-03:00", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["scope"], said["until"]) == ("", "2999-12-24T21:00:00+00:00")
    assert read_one(consul).ends == datetime(2999, 12, 24, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("acme",), "Missing option '--why'"),
        (("acme", "--why", "it", "--for", "2 hours"), "no duration such as 90m, 2h or 3d"),
        (("acme", "--why", "it", "--for", "0h"), "no duration such as 90m, 2h or 3d"),
        (("acme", "--why", "it", "--until", "tomorrow"), "no time such as 2026-12-24T18:00"),
        (("acme", "--why", "it", "--until", "2001-01-01T00:00"), "that is over already"),
        (("acme", "--why", "it", "--until", "2999-01-01", "--for", "2h"), "not both"),
    ],
)
def test_what_cannot_be_meant_is_usage_and_nothing_is_written(
    repo: Path,
    consul: FakeConsul,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, "suspend", *arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert consul.journal.requests == []


@pytest.mark.parametrize("why", ["", "   ", "two\nlines", "x" * 201])
def test_a_reason_says_something_in_a_line(
    repo: Path,
    consul: FakeConsul,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    why: str,
) -> None:
    assert run(monkeypatch, "suspend", "acme", "--why", why) == 1
    assert "say why in one line" in capsys.readouterr().err
    assert consul.entries == {}


@pytest.mark.parametrize(
    "scope", ["Acme", "acme/", "acme/salto/x", "_fleet", "../other", "acme salto", "acme\n"]
)
def test_what_is_no_scope_is_refused(
    repo: Path,
    consul: FakeConsul,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    scope: str,
) -> None:
    for words in (("suspend", scope, "--why", REASON), ("resume", scope)):
        assert run(monkeypatch, *words, "--fleet", "demo") == 1
        assert "is neither a company nor an office" in capsys.readouterr().err
    assert consul.entries == {}


def test_a_scope_that_git_does_not_know_is_suspended_with_a_warning(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was taken out and is to be stopped soon is known to no file any more."""
    assert run(monkeypatch, "suspend", "acme/gone", "--why", REASON) == 0
    assert "warning: main holds no acme/gone" in capsys.readouterr().err
    assert read_one(consul).scope == "acme/gone"


def test_with_the_fleets_name_no_repository_is_needed(
    tmp_path: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, "suspend", "--why", REASON) == 1
    assert run(monkeypatch, "suspend", "--why", REASON, "--fleet", "demo") == 0
    assert run(monkeypatch, "resume", "--fleet", "demo") == 0
    assert "warning" not in capsys.readouterr().err.partition("next:")[2]


def test_a_fleet_that_cannot_be_rendered_can_be_suspended(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(repo, fleet=FLEET.replace("country: UY", "country: 5"), acme=": no YAML {", salto="[")
    assert run(monkeypatch, "suspend", "acme/salto", "--why", REASON) == 0
    assert run(monkeypatch, "resume", "acme/salto") == 0


def test_a_fleet_file_without_a_name_asks_for_it(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repo, fleet=FLEET.replace("name: demo\n", ""))
    assert run(monkeypatch, "suspend", "--why", REASON) == 1
    assert "name it with --fleet" in capsys.readouterr().err


def test_only_what_the_command_suspended_is_lifted_and_git_is_said_with_its_line(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(
        repo,
        fleet=FLEET + 'sync: {suspended: "we move house"}\n',
        acme=ACME + "sync:\n  self_heal: false\n",
        salto=SALTO + "sync:\n  suspended: the mast is down\n",
    )
    assert run(monkeypatch, "suspend", "acme/salto", "--why", REASON) == 0
    capsys.readouterr()
    assert run(monkeypatch, "resume", "acme/salto") == 1
    said = capsys.readouterr()
    assert "that is lifted" in said.out
    fleet_line, salto_line = len(FLEET.splitlines()) + 1, len(SALTO.splitlines()) + 2
    assert said.err.splitlines() == [
        f"error: fleet/fleet.yaml:{fleet_line}: Git suspends acme/salto: we move house; take it out, render and merge",
        f"error: fleet/boxes/acme/salto.yaml:{salto_line}: Git suspends acme/salto: the mast is down; "
        "take it out, render and merge",
    ]


def test_a_wider_suspension_stays_and_is_said(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for scope in ((), ("acme",), ("acme/salto",), ("zorro",)):
        assert run(monkeypatch, "suspend", *scope, "--why", REASON) == 0
    capsys.readouterr()
    assert run(monkeypatch, "resume", "acme/salto", "--json") == 1
    said = capsys.readouterr()
    assert [one["scope"] for one in json.loads(said.out)["still"]] == ["", "acme"]
    assert "`riti resume` lifts that" in said.err and "`riti resume acme` lifts that" in said.err
    assert run(monkeypatch, "resume") == 0


def test_an_entry_that_cannot_be_read_is_lifted_too(
    repo: Path, consul: FakeConsul, monkeypatch: pytest.MonkeyPatch
) -> None:
    consul.write(f"{PREFIX}acme", b"{", 0)
    assert run(monkeypatch, "resume", "acme") == 0
    assert not read_one(consul).is_in_force(datetime.now(UTC))
    assert read_one(consul).fault is None


def test_two_at_once_do_not_overwrite_each_other(consul: FakeConsul, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    suspend(consul, "demo", "acme", "first", "ana", now)
    stale = consul.entries[f"{PREFIX}acme"]
    suspend(consul, "demo", "acme", "second", "eva", now)
    monkeypatch.setattr(consul, "read", lambda key: stale)
    with pytest.raises(Conflict):
        suspend(consul, "demo", "acme", "third", "ana", now)
    assert read_one(consul).why == "second"


def test_consuls_variables_alone_are_asked_for(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for server in ("NOMAD", "VAULT", "CONSUL_HTTP"):
        monkeypatch.delenv(f"{server}_ADDR", raising=False)
        monkeypatch.delenv(f"{server}_TOKEN", raising=False)
    assert run(monkeypatch, "suspend", "--why", REASON) == 1
    said = capsys.readouterr().err
    assert "CONSUL_HTTP_ADDR" in said and "CONSUL_HTTP_TOKEN" in said
    assert "NOMAD" not in said and "VAULT" not in said
