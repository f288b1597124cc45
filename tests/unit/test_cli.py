"""The command: exit codes, what is written and what is not, help with an example everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from ritilib.cli.main import main, riti
from ritilib.gitops.command import run_git
from tests.unit.fleets import ACME, MONTEVIDEO, SALTO, make_files


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A work tree with the good fleet's files; no Git is needed for what is tried here."""
    write(tmp_path, make_files())
    return tmp_path


def write(repo: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (repo / path).parent.mkdir(parents=True, exist_ok=True)
        (repo / path).write_bytes(content)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["riti", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def list_files(repo: Path) -> dict[str, bytes]:
    return {str(path.relative_to(repo)): path.read_bytes() for path in repo.rglob("*") if path.is_file()}


@pytest.mark.parametrize("command", ["validate", "render"])
def test_bad_input_is_said_whole_and_nothing_is_written(
    repo: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = make_files(
        acme=ACME + "colour: blue\n",
        montevideo=MONTEVIDEO,
        salto=SALTO.replace('"201"', '"101"'),
    )
    bad["fleet/boxes/acmee/rivera.yaml"] = SALTO.replace("201", "401").replace("4733", "4622").encode()
    bad["fleet/boxes/acme/artigas.yaml"] = b"name: Artigas\nextensions: [\n"
    write(repo, bad)
    before = list_files(repo)
    assert run(monkeypatch, command, "--repo", str(repo)) == 1
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert all(line.startswith("error: fleet/") and "; " in line for line in lines)
    for part in (
        "fleet/companies/acme.yaml:5: unknown key `colour`",
        "fleet/boxes/acme/salto.yaml:3: extension 101 is twice in company acme",
        "fleet/boxes/acmee/rivera.yaml:1: a box of an unknown company `acmee`",
        "fleet/boxes/acme/artigas.yaml:2: not YAML",
    ):
        assert any(part in line for line in lines), (part, lines)
    assert "Traceback" not in said.err
    assert list_files(repo) == before


def test_problems_as_json_for_programs(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repo, make_files(acme=ACME + "colour: blue\n"))
    assert run(monkeypatch, "validate", "--json", "--repo", str(repo)) == 1
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["file"], problem["line"]) == ("fleet/companies/acme.yaml", 5)
    assert problem["mend"]


def test_render_check_ends_with_3_until_the_tree_is_rendered(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list_files(repo)
    assert run(monkeypatch, "render", "--check", "--repo", str(repo)) == 3
    assert list_files(repo) == before
    assert run(monkeypatch, "render", "--repo", str(repo)) == 0
    rendered = list_files(repo)
    assert len(rendered) > len(before)
    assert run(monkeypatch, "render", "--check", "--repo", str(repo)) == 0
    assert run(monkeypatch, "render", "--repo", str(repo)) == 0
    assert list_files(repo) == rendered


def test_what_cannot_be_read_is_refused_and_not_rendered_away(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "render", "--repo", str(repo)) == 0
    salto = repo / "fleet/boxes/acme/salto.yaml"
    salto.rename(repo / "elsewhere.yaml")
    salto.symlink_to(repo / "nowhere.yaml")
    before = list_files(repo)
    assert run(monkeypatch, "render", "--repo", str(repo)) == 1
    assert "fleet/boxes/acme/salto.yaml: is no plain file" in capsys.readouterr().err
    assert list_files(repo) == before


def test_settings_that_are_missing_are_named_all_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for variable in ("NOMAD", "CONSUL_HTTP", "VAULT"):
        monkeypatch.delenv(f"{variable}_ADDR", raising=False)
        monkeypatch.delenv(f"{variable}_TOKEN", raising=False)
    assert run(monkeypatch, "sync", "--once") == 1
    said = capsys.readouterr().err
    for variable in (
        "NOMAD_ADDR",
        "NOMAD_TOKEN",
        "CONSUL_HTTP_ADDR",
        "CONSUL_HTTP_TOKEN",
        "VAULT_ADDR",
        "VAULT_TOKEN",
    ):
        assert variable in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "--mirror DIR; or --once"),
        (("--mirror", "m", "--replace", "acme/salto", "--no-wait"), "--replace, --wait is for --once"),
        (("--once", "--listen", "127.0.0.1:0"), "--listen is for the service, without --once"),
    ],
)
def test_a_sync_is_one_cycle_or_a_service(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert run(monkeypatch, "sync", *arguments) == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_wrong_option_is_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, "validate", "--colour") == 2


def list_commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from list_commands(command, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(list_commands(riti)), ids=lambda one: str(one))
def test_every_command_has_an_example_in_its_help(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help is not None
    assert f"riti {' '.join(path)}" in command.help, path


def test_the_shell_completes_commands(tmp_path: Path) -> None:
    asked = {
        "_RITI_COMPLETE": "bash_complete",
        "COMP_WORDS": "riti va",
        "COMP_CWORD": "1",
        "PATH": "/usr/bin:/bin",
    }
    program = Path(sys.executable).parent / "riti"
    done = subprocess.run([program], env=asked, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "validate" in done.stdout


LINES = {
    "montevideo": MONTEVIDEO + 'line: {number: "+59826001101"}\n',
    "salto": SALTO + 'line: {number: "+59847331201"}\n',
}


def test_trace_prints_each_rung_with_its_source(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repo, make_files(**LINES))
    asked = ("trace", "acme/montevideo:101", "+59847331201", "--repo", str(repo))
    assert run(monkeypatch, *asked, "--down", "link:acme/montevideo") == 0
    cloud, direct, line, end = capsys.readouterr().out.splitlines()
    place = "fleet/boxes/acme/salto.yaml:3"
    assert cloud.split("\t") == ["cloud", "no", "box:acme/montevideo", "the box is not in the overlay", place]
    assert direct.startswith("direct\tno\t")
    assert line.startswith("line\treached\tbox:acme/montevideo → line:acme/montevideo → public → ")
    assert line.endswith("\tfleet/boxes/acme/montevideo.yaml:6")
    assert end == "acme/montevideo:101 → +59847331201: rings 201 at acme/salto"
    assert run(monkeypatch, "trace", "acme/montevideo:101", "100", "--repo", str(repo)) == 0
    assert "fleet/companies/acme.yaml:3" in capsys.readouterr().out
    assert run(monkeypatch, *asked[:2], "00441234", *asked[3:], "--json") == 1
    assert json.loads(capsys.readouterr().out)["outcome"]["cause"] == 21


def test_trace_names_whose_line_a_call_takes_and_where_it_is_lent(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = 'line:\n  number: "+59826001101"\n  lent_to: all\n'
    write(repo, make_files(montevideo=MONTEVIDEO + line))
    asked = ("trace", "acme/salto:201", "29001234", "--repo", str(repo))
    assert run(monkeypatch, *asked) == 0
    _, lent, end = capsys.readouterr().out.splitlines()
    assert lent.startswith("lent\treached\tbox:acme/salto → pbx:acme/salto → pbx:acme/montevideo → ")
    assert lent.endswith(" → line:acme/montevideo → public\t\tfleet/boxes/acme/montevideo.yaml:8")
    assert end == "acme/salto:201 → 29001234: is dialled on the line of acme/montevideo"
    assert run(monkeypatch, "box", "show", "acme/montevideo", "--repo", str(repo)) == 0
    assert "\nlent_to\tall\n" in capsys.readouterr().out
    assert run(monkeypatch, *asked, "--down", "line:acme/montevideo", "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert [(hop["rung"], hop["held"]) for hop in said["hops"]] == [("cloud", False), ("lent", False)]
    assert said["outcome"]["cause"] == 34


def test_trace_finds_where_a_group_is_said_by_whatever_number_it_rings(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    group = ACME + 'groups: [{number: "600", name: All, rings: ["101", "201"]}]\n'
    line = SALTO + 'line: {number: "+59847331299", rings: "600"}\n'
    write(repo, make_files(acme=group, salto=line))
    for dialled in ("600", "+59847331299"):
        assert run(monkeypatch, "trace", "acme/montevideo:101", dialled, "--repo", str(repo)) == 0
        said = capsys.readouterr().out
        assert "fleet/companies/acme.yaml:5" in said
        assert said.endswith("rings the group 600\n")


@pytest.mark.parametrize("down", ["foo", "link", "link:acme/rivera", "link:zorro/salto", "cloud:acme/salto"])
def test_a_part_that_nobody_has_is_refused(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], down: str
) -> None:
    assert run(monkeypatch, "trace", "acme/salto:201", "101", "--down", down, "--repo", str(repo)) == 1
    assert f"`{down}` is no part of acme" in capsys.readouterr().err


def test_a_telephone_that_nobody_has_is_refused(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for caller in ("acme/salto:101", "acme/rivera:201", "zorro/salto:201", "201"):
        assert run(monkeypatch, "trace", caller, "101", "--repo", str(repo)) == 1
        assert f"there is no telephone {caller}" in capsys.readouterr().err


def test_prove_counts_every_call_and_names_each_gap(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "prove", "--repo", str(repo), "--json") == 0
    bare = json.loads(capsys.readouterr().out)
    write(repo, make_files(**LINES))
    assert run(monkeypatch, "prove", "--repo", str(repo), "--json") == 0
    lined = json.loads(capsys.readouterr().out)
    # 2 calls between offices, 2 telephones with 2 emergency numbers and one outside; 12 failures, 14 with lines
    assert (bare["calls"], lined["calls"]) == (8 * 12, 8 * 14)
    assert lined["lost"] < bare["lost"]
    assert {gap["failure"] for gap in lined["gaps"]} == {
        "box:montevideo",
        "box:salto",
        "line:montevideo",
        "line:salto",
    }
    assert run(monkeypatch, "prove", "--repo", str(repo)) == 0
    assert f"{lined['calls']} calls under every single failure" in capsys.readouterr().out


def test_prove_says_what_a_change_breaks_and_mends(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(repo, make_files(montevideo=LINES["montevideo"]))
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Ana")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ana@example.org")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "-m", "one line")):
        run_git(repo, *words)
    asked = ("prove", "--base", "HEAD", "--repo", str(repo))
    assert run(monkeypatch, *asked) == 0
    assert capsys.readouterr().out == "0 gaps more, 0 less\n"
    write(repo, make_files(salto=LINES["salto"]))
    assert run(monkeypatch, *asked, "--json") == 3
    said = json.loads(capsys.readouterr().out)
    assert {(gap["office"], gap["to"]) for gap in said["breaks"] if gap["failure"] == "nothing"} == {
        ("acme/montevideo", "emergency"),
        ("acme/montevideo", "numbers outside"),
    }
    assert {(gap["office"], gap["to"]) for gap in said["mends"] if gap["failure"] == "nothing"} == {
        ("acme/salto", "emergency"),
        ("acme/salto", "numbers outside"),
    }
