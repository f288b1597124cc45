"""init, render, propose, pull: what happens on this side of a merge."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import click

from ritilib.cli.options import EXIT_CHANGES, json_option, repo_option
from ritilib.cli.printing import print_json, print_rows, report
from ritilib.devstack.folders import find_cache
from ritilib.errors import Problem
from ritilib.gitops.layout import init_repository
from ritilib.gitops.memory import Memory
from ritilib.gitops.propose import propose as propose_change
from ritilib.gitops.pull import pull_base
from ritilib.gitops.refresh import render_work_tree


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
@click.option(
    "--check", is_flag=True, help="Write nothing; exit 3 where rendered/ is not what the fleet renders."
)
def render(repo: Path, as_json: bool, check: bool) -> None:
    """Render the fleet into rendered/: jobs, Asterisk's files, policies, manifests.

    What did not change since the last time is not rendered again: ~/.cache/riti/fleets remembers, and may be deleted.

    \b
    Example: riti render --repo telephones
    Example: riti render --check      (in a pipeline, on the merge's result)
    """
    changes = render_work_tree(repo, version("ritilib"), find_memory(repo), write=not check)
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
@click.option("--message", "-m", required=True, help="Why: the commit's message.")
@click.option("--branch", help="The branch's name (default: made from the tree).")
@click.option("--no-push", is_flag=True, help="Leave the branch here.")
def propose(repo: Path, as_json: bool, message: str, branch: str | None, no_push: bool) -> None:
    """Put what changed under fleet/ and rendered/ on a branch of one commit, and push it.

    \b
    Example: riti propose -m "Salto gets a second extension"
    """
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


def list_stale(repo: Path) -> tuple[Problem, ...]:
    """A problem for each rendered file that is not what the fleet renders."""
    changes = render_work_tree(repo, version("ritilib"), find_memory(repo), write=False)
    return tuple(
        Problem(change.path, 0, 0, "is not what the fleet renders", "run `riti render` first")
        for change in changes
    )


def find_memory(repo: Path) -> Memory:
    """What is remembered of a work tree, beside what else this account caches."""
    return Memory(find_cache() / "fleets", repo)
