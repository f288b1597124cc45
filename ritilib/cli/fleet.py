"""init, validate, render, propose, pull: what happens on this side of a merge."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import click

from ritilib.cli.options import EXIT_CHANGES, json_option, repo_option
from ritilib.cli.printing import print_json, print_rows, report
from ritilib.errors import FleetError, Problem
from ritilib.fleet.load import Loaded, load_fleet
from ritilib.gitops.diff import Change, compare, read_rendered_tree, write_tree
from ritilib.gitops.layout import init_repository
from ritilib.gitops.propose import propose as propose_change
from ritilib.gitops.pull import pull_base
from ritilib.gitops.update import update_proposal
from ritilib.gitops.worktree import read_fleet_files
from ritilib.render.tree import render_tree


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--fleet", required=True, help="The fleet's name in Nomad, Consul and Vault, such as demo.")
@click.option("--remote", help="A forge's (empty) repository to push the first commit to.")
def init(folder: Path, fleet: str, remote: str | None) -> None:
    """Make a GitOps repository in FOLDER.

    \b
    Example: riti init telephones --fleet demo --remote git@forge.example:voice/telephones.git
    """
    made = init_repository(folder, fleet, remote, report)
    click.echo(f"fleet {fleet} ({made.fleet_id}) in {folder}, root commit {made.root_commit[:12]}")


@click.command()
@repo_option
@json_option
def validate(repo: Path, as_json: bool) -> None:
    """Say every problem of the fleet's files at once, each with its line and its mend.

    \b
    Example: riti validate --repo telephones
    """
    try:
        loaded = load_fleet(read_fleet_files(repo))
    except FleetError as error:
        if not as_json:
            raise
        print_json({"problems": error.problems})
        sys.exit(1)
    counts = count_fleet(loaded)
    if as_json:
        print_json({"problems": [], **counts})
    else:
        click.echo(", ".join(f"{number} {what}" for what, number in counts.items()) + ": fine")


@click.command()
@repo_option
@json_option
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 3 where rendered/ is not what the fleet renders."
)
def render(repo: Path, as_json: bool, check: bool) -> None:
    """Render the fleet into rendered/: jobs, Asterisk's files, policies, manifests.

    \b
    Example: riti render --repo telephones
    Example: riti render --check      (in a pipeline, on the merge's result)
    """
    wanted, changes = render_changes(repo)
    if not check:
        write_tree(repo, wanted)
    if as_json:
        print_json(changes)
    else:
        print_rows(("change", "file"), [(change.kind, change.path) for change in changes])
        if not changes:
            click.echo("rendered/ is what the fleet renders; nothing to write")
    if check and changes:
        sys.exit(EXIT_CHANGES)


@click.command()
@repo_option
@json_option
@click.option(
    "--message", "-m", help="Why: the commit's message. With --update, the proposal's own if left out."
)
@click.option("--branch", help="The branch's name (default: made from the tree).")
@click.option("--no-push", is_flag=True, help="Leave the branch here.")
@click.option("--update", is_flag=True, help="Put a proposal on the main of today, and render it anew.")
def propose(
    repo: Path,
    as_json: bool,
    message: str | None,
    branch: str | None,
    no_push: bool,
    update: bool,
) -> None:
    """Put what changed under fleet/ and rendered/ on a branch of one commit, and push it.

    With --update: somebody else merged first. The branch (default: the one whose change lies in the work tree) becomes
    one commit on top of today's main; an overlay address that main gave away meanwhile is replaced.

    \b
    Example: riti propose -m "Salto gets a second extension"
    Example: riti propose --update
    Example: riti propose --update --branch riti/0123456789ab
    """
    if update:
        updated = update_proposal(repo, branch, message, not no_push, version("ritilib"), report)
        if as_json:
            print_json(updated)
        else:
            click.echo(f"{updated.commit[:12]} on {updated.branch}, on top of {updated.base[:12]}")
        return
    if message is None:
        raise click.UsageError("Missing option '--message' / '-m'.")
    proposal = propose_change(repo, message, branch, not no_push, report, list_stale(repo))
    if as_json:
        print_json(proposal)
    else:
        click.echo(f"{proposal.commit[:12]} on {proposal.branch}: open a pull request for it")


@click.command()
@repo_option
def pull(repo: Path) -> None:
    """Bring the local main and its work tree to what was merged.

    \b
    Example: riti pull --repo telephones
    """
    click.echo(f"main is at {pull_base(repo, report)[:12]}")


def render_changes(repo: Path) -> tuple[dict[str, str], tuple[Change, ...]]:
    """What the fleet in the work tree renders, and how the work tree differs from it."""
    files = read_fleet_files(repo)
    wanted = render_tree(load_fleet(files), files, version("ritilib"))
    return wanted, compare(read_rendered_tree(repo), wanted)


def list_stale(repo: Path) -> tuple[Problem, ...]:
    """A problem for each rendered file that is not what the fleet renders."""
    _, changes = render_changes(repo)
    return tuple(
        Problem(change.path, 0, 0, "is not what the fleet renders", "run `riti render` first")
        for change in changes
    )


def count_fleet(loaded: Loaded) -> dict[str, int]:
    """How much the fleet holds, for a person to see that nothing was overlooked."""
    companies = loaded.fleet.companies
    boxes = [box for company in companies for box in company.boxes]
    extensions = sum(len(box.said.extensions) for box in boxes)
    return {"companies": len(companies), "boxes": len(boxes), "extensions": extensions}
