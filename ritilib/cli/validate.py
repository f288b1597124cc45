"""validate, schema: what the fleet's files may say, and whether they say it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from ritilib.cli.fleet import find_memory
from ritilib.cli.formats import format_github, format_gitlab
from ritilib.cli.options import json_option, repo_option
from ritilib.cli.printing import print_json, print_problems, report
from ritilib.errors import Problem, RitiError
from ritilib.fleet.schema import KINDS, write_schema
from ritilib.gitops.refresh import Verdict, validate_work_tree
from ritilib.gitops.worktree import write_files

Format = Literal["text", "json", "github", "gitlab"]


@click.command()
@repo_option
@json_option
@click.option(
    "--format",
    "form",
    type=click.Choice(("text", "json", "github", "gitlab")),
    default="text",
    show_default=True,
    help="github: annotations of a workflow; gitlab: a Code Quality report.",
)
@click.option("--strict", is_flag=True, help="Exit 1 for warnings too.")
def validate(repo: Path, as_json: bool, form: Format, strict: bool) -> None:
    """Say every problem of the fleet's files at once, each with its line and its mend.

    \b
    Example: riti validate --repo telephones
    Example: riti validate --format gitlab > codequality.json      (in a pipeline)
    """
    verdict: Verdict | None = None
    problems: tuple[Problem, ...]
    try:
        verdict = validate_work_tree(repo, find_memory(repo))
        problems = verdict.warnings
    except RitiError as error:
        problems = error.problems
    _print_found("json" if as_json else form, problems, count_fleet(verdict) if verdict else {})
    if verdict is None or (strict and problems):
        sys.exit(1)


def _print_found(form: Format, problems: tuple[Problem, ...], counts: dict[str, int]) -> None:
    if form == "json":
        print_json({"problems": problems, **counts})
    elif form == "github":
        click.echo(format_github(problems), nl=False)
    elif form == "gitlab":
        click.echo(format_gitlab(problems), nl=False)
    else:
        print_problems(problems)
        if counts:
            warned = f", with {_count(len(problems), 'warnings')}" if problems else ""
            click.echo(", ".join(_count(number, what) for what, number in counts.items()) + f": fine{warned}")


def _count(number: int, things: str) -> str:
    """ "1 company", "2 companies"."""
    one = {"companies": "company", "boxes": "box"}.get(things, things.removesuffix("s"))
    return f"{number} {one if number == 1 else things}"


@click.command()
@click.argument("kind", type=click.Choice(tuple(KINDS)), required=False)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write <kind>.json into, such as fleet/schema.",
)
def schema(kind: str | None, out: Path | None) -> None:
    """Print the JSON Schema of one kind of file, or write those of all, for editors to complete and check by.

    \b
    Example: riti schema box
    Example: riti schema --out fleet/schema      (after an upgrade of RITI)
    """
    if out is not None:
        texts = {f"{one}.json": write_schema(one) for one in KINDS if kind in (None, one)}
        for name in write_files(out, texts):
            report(f"{out / name} written")
    elif kind is None:
        raise click.UsageError(f"name one of {', '.join(KINDS)}, or a folder with --out")
    else:
        click.echo(write_schema(kind), nl=False)


def count_fleet(verdict: Verdict) -> dict[str, int]:
    """How much the fleet holds, for a person to see that nothing was overlooked."""
    return {"companies": verdict.companies, "boxes": verdict.boxes, "extensions": verdict.extensions}
