"""The files between the agent and root's services: what is read, kept and asked."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from onbox.wish import read_wish
from ritilib.box.image import Memory, Progress, Running
from ritilib.box.updating import (
    ASK_RESTART,
    ASK_UPDATE,
    ImagePlaces,
    Updater,
    read_installing,
    read_memory,
    read_running,
)
from ritilib.box.word import Word
from ritilib.reconcile.image_value import ImageValue

CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
WISH = ImageValue(
    version="1.2.4", bundles="https://bundles.example/riti", ca=CA, told_at=datetime(2026, 11, 30, tzinfo=UTC)
)


@dataclass
class Box:
    """A folder with all of it; say is what root's services leave."""

    folder: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.places = ImagePlaces(self.folder, self.folder / "status.json", self.folder / "said.json")
        self.memory = self.folder / "image.json"
        self.word = Word(True)
        self.start()

    def start(self) -> None:
        self.updater = Updater(self.places, self.memory, self.said.append, lambda: 0.5)

    def say(self, **words: object) -> None:
        said = {"version": "1.2.3", "slot": "A", "committed": True, "installed": "", "failed": ""}
        self.places.status.write_text(json.dumps(said | words))

    def step(self) -> Progress:
        found = self.updater.step(self.word, True)
        assert found
        return found


@pytest.fixture
def box(tmp_path: Path) -> Box:
    made = Box(tmp_path)
    made.say()
    return made


def test_a_machine_without_an_image_says_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path)
    for text in ("", "[]", "{}", '{"image": "riti-box-virt 1", "rescued": 0}'):
        box.places.status.write_text(text)
        assert box.updater.step(box.word, True) is None


def test_root_understands_what_the_agent_asks_for(box: Box) -> None:
    assert box.step().state == ""
    box.updater.give(WISH)
    assert box.step().state == "installing"
    wish = read_wish((box.folder / ASK_UPDATE).read_text())
    assert (wish.version, wish.bundles, wish.ca) == (WISH.version, WISH.bundles, CA)
    assert wish.name_bundle("riti-box-virt") == "https://bundles.example/riti/riti-box-virt-1.2.4.raucb"
    box.updater.give(WISH.model_copy(update={"bundles": "http://10.0.0.5/riti", "ca": None}))
    (box.folder / ASK_UPDATE).unlink()
    box.start()
    box.updater.give(WISH.model_copy(update={"bundles": "http://10.0.0.5/riti", "ca": None}))
    box.step()
    assert read_wish((box.folder / ASK_UPDATE).read_text()).ca == ""


def test_what_is_tried_is_on_the_disk_before_the_restart_is_asked_for(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.say(installed="1.2.4")
    box.updater.give(WISH)

    def fail(*_: object) -> None:
        raise OSError("the card is full")

    with monkeypatch.context() as patch:
        patch.setattr("ritilib.box.updating.write_durable", fail)
        with pytest.raises(OSError, match="full"):
            box.step()
    assert not (box.folder / ASK_RESTART).exists()
    assert box.step().state == "restarting"
    assert (box.folder / ASK_RESTART).exists() and read_memory(box.memory) == Memory("1.2.4")
    assert box.said[-1] == "image 1.2.4: restarting"


def test_after_the_way_back_another_process_knows_what_failed(box: Box) -> None:
    box.say(installed="1.2.4")
    box.updater.give(WISH)
    box.step()
    box.say(failed="1.2.4", failed_why="no telephone can register")
    box.start()
    box.updater.give(WISH)
    assert box.step().state == "failed"
    box.start()
    box.say()  # another version was installed meanwhile, so root's record has forgotten it
    box.updater.give(WISH)
    assert box.step().failed == {"1.2.4": "no telephone can register"}


def test_a_call_that_comes_is_seen_before_each_act(box: Box) -> None:
    box.updater.give(WISH)
    box.word = Word(True, channels=1)
    assert (box.step().why, (box.folder / ASK_UPDATE).exists()) == ("a call is up", False)
    box.say(installed="1.2.4")
    assert (box.step().state, (box.folder / ASK_RESTART).exists()) == ("installed", False)


def test_what_is_damaged_counts_as_nothing(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for text in ("", "null", "[1]", "{", '{"state": "done"}', '{"failed": 3, "trying": 4}'):
        file.write_text(text)
        assert read_memory(file) == Memory()
        assert read_running(file) is None
        assert read_installing(file, 0.0).state == ""
    file.write_text('{"version": "1", "slot": "A", "committed": 1, "installed": 7}')
    assert read_running(file) == Running("1", "A", committed=False)
