"""riti words: the recordings that menus say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from ritilib.cli.box import report_change
from ritilib.cli.options import json_option, repo_option
from ritilib.cli.printing import print_json, print_rows
from ritilib.fleet.load import load_fleet
from ritilib.fleet.recording import encode_recording
from ritilib.fleet.words import add_words, list_words, remove_words
from ritilib.gitops.worktree import read_fleet_files


@click.group()
def words() -> None:
    """Add, list and remove the recordings that a company's menus say.

    \b
    Example: riti words list
    """


@words.command("add")
@click.argument("company")
@click.argument("name")
@click.argument("recording", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@repo_option
def words_add(company: str, name: str, recording: Path, repo: Path) -> None:
    """Put RECORDING (WAV, FLAC, OGG, MP3) into the repository as the words NAME, as Asterisk plays them.

    Words of that name are replaced. A menu says them by `words: NAME`.

    \b
    Example: riti words add acme welcome welcome.wav
    """
    coded = encode_recording(recording.read_bytes())
    report_change(repo, partial(add_words, company=company, name=name, content=coded))


@words.command("list")
@repo_option
@json_option
def words_list(repo: Path, as_json: bool) -> None:
    """List every recording: how long it is, and which menus say it.

    \b
    Example: riti words list --json
    """
    files = read_fleet_files(repo)
    found = list_words(files, load_fleet(files).fleet)
    if as_json:
        print_json(found)
    else:
        rows = [(one.company, one.name, f"{one.seconds:.1f} s", ", ".join(one.menus)) for one in found]
        print_rows(("company", "words", "length", "said by"), rows)


@words.command("remove")
@click.argument("company")
@click.argument("name")
@repo_option
def words_remove(company: str, name: str, repo: Path) -> None:
    """Remove a recording; nothing is removed where a menu still says it.

    \b
    Example: riti words remove acme welcome
    """
    report_change(repo, partial(remove_words, company=company, name=name))
