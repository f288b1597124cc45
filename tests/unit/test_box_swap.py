"""Generations on the data partition: one whole one is in force whenever the writer dies, and a bad disk is noticed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ritilib.box.live import Configuration, compose_configuration, understand_live
from ritilib.box.swap import Generations, Refusal
from tests.unit.test_box_live import FILES, SECRETS, write_value

OLD = FILES
NEW = FILES | {"etc/extensions.conf": "[from-phone]\nexten => 2,1,Hangup(16)\n"}


def make(files: dict[str, str] = OLD, version: int = 3) -> Configuration:
    return compose_configuration(understand_live(write_value(dict(files))), SECRETS, version)


def put_in_force(generations: Generations, made: Configuration) -> None:
    generations.stage(made)
    generations.switch(made.identity)
    generations.confirm()


@pytest.fixture
def generations(tmp_path: Path) -> Generations:
    made = Generations(tmp_path / "configuration")
    made.recover()
    return made


def read_asterisk(generations: Generations) -> dict[str, str]:
    """As Asterisk reads it: through the links."""
    return {path.name: path.read_text() for path in sorted((generations.folder / "asterisk").iterdir())}


def test_a_new_box_has_none(generations: Generations) -> None:
    held = generations.read()
    assert (held.current, held.good, held.refused) == (None, "", None)


def test_what_is_staged_is_in_force_after_the_switch_alone(generations: Generations) -> None:
    put_in_force(generations, make())
    staged = generations.stage(make(NEW), usual=("a complaint",))
    assert read_asterisk(generations) == make().asterisk
    held = generations.switch(staged.identity)
    assert read_asterisk(generations) == make(NEW).asterisk
    assert held.current == staged and staged.usual == ("a complaint",)
    assert held.good == make().identity and not held.is_confirmed
    assert generations.confirm().is_confirmed
    assert [one.name for one in (generations.folder / "generations").iterdir()] == [make(NEW).identity]


def test_the_last_good_one_can_be_had_back(generations: Generations) -> None:
    put_in_force(generations, make())
    generations.switch(generations.stage(make(NEW)).identity)
    refusal = Refusal(make(NEW).identity, "was not acknowledged", 7)
    generations.refuse(refusal)
    held = generations.switch(make().identity)
    assert read_asterisk(generations) == make().asterisk
    assert held.is_confirmed and held.refused == refusal
    assert Generations(generations.folder).recover() == held


def test_another_version_of_the_secrets_is_another_generation(generations: Generations) -> None:
    assert generations.stage(make(version=3)).identity != generations.stage(make(version=4)).identity


def test_nobody_else_reads_the_secrets(generations: Generations) -> None:
    os.umask(os.umask(0o022))
    put_in_force(generations, make())
    for path in generations.folder.rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o007 == 0, path
    assert (generations.folder / "asterisk/iax.conf").stat().st_mode & 0o777 == 0o640
    assert (generations.folder / "current/adapter").stat().st_mode & 0o777 == 0o700


def damage_flip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2] + b"\xff\n")


@pytest.mark.parametrize("damage", [damage_flip, Path.unlink, lambda path: path.write_text("")])
def test_what_a_worn_card_lost_is_not_booted(generations: Generations, damage: object) -> None:
    put_in_force(generations, make())
    generations.switch(generations.stage(make(NEW)).identity)
    assert callable(damage)
    damage(generations.folder / "asterisk/iax.conf")
    assert generations.read().current is None
    held = generations.recover()
    assert held.is_confirmed and held.good == make().identity
    assert read_asterisk(generations) == make().asterisk
    # and the same one can be staged anew
    generations.switch(generations.stage(make(NEW)).identity)
    assert read_asterisk(generations) == make(NEW).asterisk


def test_killed_at_every_fsync_a_whole_one_is_in_force(tmp_path: Path) -> None:
    value, secrets = tmp_path / "value.json", tmp_path / "secrets.json"
    value.write_bytes(write_value(dict(NEW)))
    secrets.write_text(json.dumps(SECRETS))
    outcomes = []
    for last in range(1, 100):
        generations = Generations(tmp_path / str(last))
        generations.recover()
        put_in_force(generations, make())
        argv = [sys.executable, "-m", "tests.box_dying", str(generations.folder), value, secrets, str(last)]
        status = subprocess.run(argv, check=False).returncode
        if status == 0:
            break
        assert status == -signal.SIGKILL
        # what a start without a network finds, before anybody mends anything
        whole = [make().asterisk, make(NEW).asterisk]
        assert read_asterisk(generations) in whole
        held = Generations(generations.folder).recover()
        assert held.current is not None and held.good in (make().identity, make(NEW).identity)
        outcomes.append(held.current.identity)
        # and the same swap goes through afterwards
        put_in_force(generations, make(NEW))
        assert read_asterisk(generations) == make(NEW).asterisk
    # one for each file, about.json, three folders, generations, current, good, refused with their folders
    assert len(outcomes) == len(make(NEW).asterisk) + len(make(NEW).adapter) + 1 + 1 + 3 + 1 + 1 + 2 + 2
    assert set(outcomes) == {make().identity, make(NEW).identity}
    assert outcomes == sorted(outcomes, key=lambda one: one == make(NEW).identity)


def test_killed_in_the_first_swap_nothing_half_is_in_force(tmp_path: Path) -> None:
    value, secrets = tmp_path / "value.json", tmp_path / "secrets.json"
    value.write_bytes(write_value(dict(NEW)))
    secrets.write_text(json.dumps(SECRETS))
    seen = set()
    for last in range(1, 100):
        folder = tmp_path / str(last)
        argv = [sys.executable, "-m", "tests.box_dying", str(folder), value, secrets, str(last)]
        if subprocess.run(argv, check=False).returncode == 0:
            break
        held = Generations(folder).recover()
        assert held.current is None or held.current.identity == make(NEW).identity
        if held.current:
            assert read_asterisk(Generations(folder)) == make(NEW).asterisk
        seen.add(held.current is None)
    assert seen == {True, False}
