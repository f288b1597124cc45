"""trace, prove: how calls go, and whether they get through, before anything is merged."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from ritilib.cli.options import EXIT_CHANGES, json_option, repo_option
from ritilib.cli.printing import print_json, print_rows, report
from ritilib.errors import RitiError
from ritilib.fleet.load import load_fleet
from ritilib.fleet.model import Fleet
from ritilib.fleet.places import Places
from ritilib.gitops.objects import read_files
from ritilib.gitops.repository import check_repository, find_commit
from ritilib.gitops.worktree import read_fleet_files
from ritilib.routing.directory import Directory, build_directory
from ritilib.routing.ladder import RUNGS, parse_failure
from ritilib.routing.proof import Gap, Proof, prove_company
from ritilib.routing.trace import trace_call

SHOWN = 20


@click.command()
@repo_option
@json_option
@click.argument("caller", metavar="FROM")
@click.argument("dialled", metavar="TO")
@click.option(
    "--down", multiple=True, metavar="X", help="A part that does not work: link:acme/salto, cloud, …"
)
@click.option("--closed", is_flag=True, help="As it goes outside the company's hours.")
@click.option(
    "--press", metavar="KEYS", default="", help="What is pressed where menus answer, a key for each."
)
def trace(
    repo: Path, as_json: bool, caller: str, dialled: str, down: tuple[str, ...], closed: bool, press: str
) -> None:
    """Print how one call goes, rung by rung, with the line of the fleet's files that each comes from.

    FROM is a telephone such as acme/montevideo:101, TO what is dialled. Exit 1 where the call does not get through.

    \b
    Parts: link:COMPANY/BOX  box:COMPANY/BOX  pbx:COMPANY/BOX  line:COMPANY/BOX
           mesh:COMPANY/BOX:BOX  cloud  vault  consul  nomad
    Example: riti trace acme/montevideo:101 201 --down link:acme/montevideo
    Example: riti trace acme/montevideo:101 700 --press 1
    """
    files = read_fleet_files(repo)
    fleet = load_fleet(files).fleet
    directory, slug = find_caller(fleet, caller)
    failures = frozenset(parse_failure(one, directory) for one in down)
    told = trace_call(directory, Places(files), slug, dialled, failures, closed, press)
    if as_json:
        print_json(told)
    else:
        rows = [
            (hop.rung, "reached" if hop.held else "no", " → ".join(hop.path), hop.why, hop.source)
            for hop in told.hops
        ]
        print_rows(("rung", "", "way", "why not", "said in"), rows)
        click.echo(f"{caller} → {dialled}: {told.end}")
    if not told.gets_through:
        sys.exit(1)


@click.command()
@repo_option
@json_option
@click.option(
    "--base", metavar="REV", help="Print only what the work tree breaks or mends since this commit."
)
@click.option("--all", "every", is_flag=True, help=f"Print every gap, not the first {SHOWN}.")
def prove(repo: Path, as_json: bool, base: str | None, every: bool) -> None:
    """Check every pair of telephones, emergency calls and calls outside, under every single failure.

    It claims this and no more: for one call on an otherwise idle fleet and a working public network, the route exists
    in the rendered tables. With --base: exit 3 where a change breaks or mends something.

    \b
    Example: riti prove --base main
    """
    start = time.monotonic()
    proofs = prove_fleet(load_fleet(read_fleet_files(repo)).fleet)
    gaps = [gap for proof in proofs for gap in proof.gaps]
    if base is not None:
        check_repository(repo)
        before = prove_fleet(load_fleet(read_files(repo, find_commit(repo, base), "fleet")).fleet)
        _print_difference(gaps, [gap for proof in before for gap in proof.gaps], as_json)
        return
    calls, lost = sum(proof.calls for proof in proofs), sum(proof.lost for proof in proofs)
    rungs = {rung: sum(proof.rungs.get(rung, 0) for proof in proofs) for rung in RUNGS}
    if as_json:
        print_json({"calls": calls, "lost": lost, "rungs": rungs, "gaps": gaps})
        return
    shown = gaps if every else gaps[:SHOWN]
    print_rows(("office", "without", "calls to", "calls", "why they do not get through"), _rows(shown))
    if len(gaps) > len(shown):
        click.echo(f"… and {len(gaps) - len(shown)} gaps more (--all)")
    words = {"lent": "a lent line"}
    by_rung = ", ".join(f"{count:,} by {words.get(rung, rung)}" for rung, count in rungs.items())
    click.echo(f"{calls:,} calls under every single failure: {by_rung}; {lost:,} do not get through")
    report(f"proved in {time.monotonic() - start:.1f} s")


def find_caller(fleet: Fleet, caller: str) -> tuple[Directory, str]:
    """The directory of the company and the box of "acme/montevideo:101"; RitiError where there is no such telephone."""
    key, _, number = caller.partition(":")
    company, _, slug = key.partition("/")
    for one in fleet.companies:
        directory = build_directory(fleet, one) if one.slug == company else None
        office = directory.offices.get(slug) if directory else None
        if directory and office and number in (*office.extensions, ""):
            return directory, slug
    raise RitiError.because(f"there is no telephone {caller}", "name one as COMPANY/BOX:EXTENSION")


def prove_fleet(fleet: Fleet) -> list[Proof]:
    return [prove_company(build_directory(fleet, company)) for company in fleet.companies]


def _rows(gaps: list[Gap]) -> list[tuple[str, ...]]:
    return [(gap.office, gap.failure, gap.to, str(gap.calls), gap.why) for gap in gaps]


def _print_difference(after: list[Gap], before: list[Gap], as_json: bool) -> None:
    breaks = sorted(set(after) - set(before))
    mends = sorted(set(before) - set(after))
    if as_json:
        print_json({"breaks": breaks, "mends": mends})
    else:
        rows = [("breaks", *row) for row in _rows(breaks)] + [("mends", *row) for row in _rows(mends)]
        print_rows(("", "office", "without", "calls to", "calls", "why"), rows)
        click.echo(f"{len(breaks)} gaps more, {len(mends)} less")
    if breaks or mends:
        sys.exit(EXIT_CHANGES)
