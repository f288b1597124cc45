"""riti validate: what it prints for people and for the pipelines of three forges, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ritilib.cli.formats import format_github, format_gitlab
from ritilib.errors import Problem
from ritilib.fleet.company_file import CompanyFile
from ritilib.fleet.load import load_fleet
from tests.unit.fleets import ACME, FLEET, SALTO, make_files
from tests.unit.test_cli import run, write

TWO_LIGHTHOUSES = FLEET + "  - {name: two, address: 10.93.0.2}\n"
FOREIGN = SALTO.replace("+59847331201", "+541143211201")


def list_warnings(files: dict[str, bytes]) -> list[tuple[str, int, str]]:
    warnings = load_fleet(files).warnings
    assert all(problem.severity == "warning" and problem.mend for problem in warnings)
    return [(problem.file, problem.line, problem.rule) for problem in warnings]


def test_a_fleet_as_it_should_be_has_no_warning() -> None:
    assert list_warnings(make_files(fleet=TWO_LIGHTHOUSES)) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"fleet": FLEET}, ("fleet/fleet.yaml", 6, "one-lighthouse")),
        (
            {"fleet": TWO_LIGHTHOUSES.replace("100.80.0.0/16", "192.168.0.0/16")},
            ("fleet/fleet.yaml", 3, "office-overlay"),
        ),
        (
            {"fleet": TWO_LIGHTHOUSES.replace("100.80.0.0/16", "8.8.0.0/16")},
            ("fleet/fleet.yaml", 3, "public-overlay"),
        ),
        (
            {"fleet": TWO_LIGHTHOUSES, "salto": FOREIGN},
            ("fleet/boxes/acme/salto.yaml", 5, "foreign-number"),
        ),
        (
            {"fleet": TWO_LIGHTHOUSES, "salto": SALTO.replace("+59847331201", "+59817331201")},
            ("fleet/boxes/acme/salto.yaml", 5, "unassigned-number"),
        ),
    ],
)
def test_each_warning_names_its_place(changed: dict[str, str], expected: tuple[str, int, str]) -> None:
    assert list_warnings(make_files(**changed)) == [expected]


def test_a_company_without_a_box_is_a_warning() -> None:
    files = make_files(fleet=TWO_LIGHTHOUSES) | {"fleet/companies/zorro.yaml": b"\nname: Zorro Ltda.\n"}
    assert list_warnings(files) == [("fleet/companies/zorro.yaml", 2, "company-without-box")]


def test_the_schema_of_another_riti_is_a_warning() -> None:
    files = make_files(fleet=TWO_LIGHTHOUSES) | {"fleet/schema/box.json": b"{}\n"}
    assert list_warnings(files) == [("fleet/schema/box.json", 0, "stale-schema")]


def test_warnings_are_said_and_stop_nothing_unless_strict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_files(fleet=TWO_LIGHTHOUSES, salto=FOREIGN))
    assert run(monkeypatch, "validate", "--repo", str(tmp_path)) == 0
    said = capsys.readouterr()
    assert said.out == "1 company, 2 boxes, 2 extensions: fine, with 1 warning\n"
    assert said.err == (
        "warning: fleet/boxes/acme/salto.yaml:5: public number +541143211201 is not of UY, the fleet's country; "
        "look at the digits after the +; leave it where the office is abroad\n"
    )
    assert run(monkeypatch, "validate", "--strict", "--repo", str(tmp_path)) == 1
    write(tmp_path, make_files(fleet=TWO_LIGHTHOUSES))
    assert run(monkeypatch, "validate", "--strict", "--repo", str(tmp_path)) == 0


PROBLEMS = (
    Problem("fleet/a,b:c.yaml", 3, 5, "100%\r\nwrong: it, all", "mend it", "some-rule"),
    Problem("fleet/companies/acme.yaml", 0, 0, "no line", "", "whole-file", "warning"),
    Problem("", 0, 0, "no place at all", "look", ""),
)


def test_github_reads_workflow_commands() -> None:
    assert format_github(PROBLEMS) == (
        "::error file=fleet/a%2Cb%3Ac.yaml,line=3,col=5,title=some-rule::100%25%0D%0Awrong: it, all; mend it\n"
        "::warning file=fleet/companies/acme.yaml,title=whole-file::no line\n"
        "::error::no place at all; look\n"
    )
    assert format_github(()) == ""


def test_gitlab_reads_a_code_quality_report() -> None:
    report = json.loads(format_gitlab(PROBLEMS))
    prints = [one.pop("fingerprint") for one in report]
    assert report == [
        {
            "description": "100%\r\nwrong: it, all; mend it",
            "check_name": "some-rule",
            "severity": "major",
            "location": {"path": "fleet/a,b:c.yaml", "lines": {"begin": 3}},
        },
        {
            "description": "no line",
            "check_name": "whole-file",
            "severity": "minor",
            "location": {"path": "fleet/companies/acme.yaml", "lines": {"begin": 1}},
        },
        {
            "description": "no place at all; look",
            "check_name": "riti",
            "severity": "major",
            "location": {"path": "fleet", "lines": {"begin": 1}},
        },
    ]
    assert len(set(prints)) == 3
    assert json.loads(format_gitlab(())) == []


def test_a_fingerprint_outlives_a_line_that_is_added_above() -> None:
    def fingerprint(*lines: int) -> list[str]:
        what = "extension 101 is twice: also at fleet/boxes/acme/salto.yaml"
        problems = [Problem("f", line, 1, f"{what}:{line}", "mend", "rule") for line in lines]
        return [one["fingerprint"] for one in json.loads(format_gitlab(problems))]

    assert fingerprint(3, 9) == fingerprint(4, 10)
    assert len(set(fingerprint(3, 9))) == 2


@pytest.mark.parametrize("form", ["json", "github", "gitlab"])
def test_a_pipeline_reads_where_and_which_rule(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_files(acme=ACME + "colour: blue\n"))
    assert run(monkeypatch, "validate", "--format", form, "--repo", str(tmp_path)) == 1
    said = capsys.readouterr()
    assert said.err == ""
    if form == "github":
        expected = (
            "::error file=fleet/companies/acme.yaml,line=5,col=1,title=unknown-key::unknown key `colour`; "
            "take it out, or spell it as one of: "
        )
        assert said.out == expected + ", ".join(sorted(CompanyFile.model_fields)) + "\n"
    elif form == "json":
        (problem,) = json.loads(said.out)["problems"]
        assert (problem["line"], problem["column"], problem["rule"]) == (5, 1, "unknown-key")
        assert problem["severity"] == "error"
    else:
        (problem,) = json.loads(said.out)
        assert problem["check_name"] == "unknown-key"
        assert problem["location"] == {"path": "fleet/companies/acme.yaml", "lines": {"begin": 5}}


def test_what_cannot_be_read_reaches_the_pipeline_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, make_files())
    (tmp_path / "fleet/boxes/acme/rivera.yaml").symlink_to(tmp_path / "nowhere")
    assert run(monkeypatch, "validate", "--format", "github", "--repo", str(tmp_path)) == 1
    assert capsys.readouterr().out.startswith("::error file=fleet/boxes/acme/rivera.yaml::is no plain file; ")
