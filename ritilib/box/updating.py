"""What the agent reads, keeps and asks for another image: files of root's services, and two that ask them."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import random as any_random
from typing import Any

from ritilib.box.durable import write_durable
from ritilib.box.image import Asked, Installing, Memory, Progress, Running, Step, decide, find_hindrance
from ritilib.box.word import Word
from ritilib.reconcile.backoff import Random
from ritilib.reconcile.image_value import ImageValue

MEMORY = "image.json"
ASK_UPDATE, ASK_RESTART = "update.json", "restart"  # box-os/files: riti-update.path, riti-restart.path
LONGEST = 300  # of a reason


@dataclass(frozen=True)
class ImagePlaces:
    """status and said are root's (box-os/onbox: status.py, update.py); asks is the agent's own folder, in memory, in
    which root looks for what it is asked."""

    asks: Path
    status: Path = Path("/run/riti-status/status.json")
    said: Path = Path("/run/riti-update/said.json")


class Updater:
    """The agent gives it what the box is to run, from any thread, and has it step in its loop.

    memory is a file on the data partition. OSError where the disk fails.
    """

    def __init__(
        self,
        places: ImagePlaces,
        memory: Path,
        tell: Callable[[str], None],
        random: Random = any_random,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places, self._memory_file, self._tell = places, memory, tell
        self._random, self._clock, self._monotonic = random, clock, monotonic
        self._lock = threading.Lock()
        self._wish: ImageValue | None = None
        self._memory = read_memory(memory)
        self._asked = Asked()
        self._heard_s = monotonic()  # when the watcher said something last
        self._told = ""

    def give(self, wish: ImageValue) -> None:
        with self._lock:
            self._wish = wish

    def step(self, word: Word, is_configured: bool) -> Progress | None:
        """One look, and what follows; None on a machine that has no image."""
        running = read_running(self._places.status)
        if running is None:
            return None
        now_s = self._monotonic()
        if word.is_up:
            self._heard_s = now_s
        with self._lock:
            wish = self._wish
        silent_s = now_s - self._heard_s
        hindrance = find_hindrance(word, is_configured, silent_s, wish, self._clock()) if wish else ""
        done = read_installing(self._places.said, time.time())
        step = decide(wish, running, done, self._memory, self._asked, hindrance, now_s, self._random())
        if step.memory != self._memory:
            # before it is asked for: a restart may come at once, and nobody would know what was tried
            write_durable(self._memory_file, json.dumps(asdict(step.memory), sort_keys=True, indent=2) + "\n")
            self._memory = step.memory
        self._asked = step.asked
        if wish and step.act:
            self._ask(step, wish)
        self._say(step.progress)
        return step.progress

    def _ask(self, step: Step, wish: ImageValue) -> None:
        if step.act == "restart":
            _write_whole(self._places.asks / ASK_RESTART, "")
            return
        said = {"version": wish.version, "bundles": wish.bundles} | ({"ca": wish.ca} if wish.ca else {})
        _write_whole(self._places.asks / ASK_UPDATE, json.dumps(said) + "\n")

    def _say(self, progress: Progress) -> None:
        words = f"image {progress.wished}: {progress.state} {progress.why}".rstrip() if progress.state else ""
        if words != self._told:
            self._tell(words or f"image {progress.version} is as wished")
        self._told = words


def read_running(file: Path) -> Running | None:
    """None on a machine whose status service says no version and slot, as a container that has none."""
    said = _read_json(file)
    version, slot = _text(said, "version"), _text(said, "slot")
    if not version or not slot:
        return None
    more = (_text(said, key) for key in ("installed", "failed", "failed_why"))
    return Running(version, slot, said.get("committed") is True, *more)


def read_installing(file: Path, now_s: float) -> Installing:
    """Of root's update service; now_s is the clock's, by which files have their times."""
    said = _read_json(file)
    state = said.get("state")
    if state not in ("installing", "installed", "failed"):
        return Installing()
    try:
        stamp = file.stat().st_mtime_ns
    except OSError:
        return Installing()
    percent = said.get("percent")
    return Installing(
        _text(said, "version"),
        state,
        percent if type(percent) is int else None,
        _text(said, "why"),
        said.get("final") is True,
        stamp,
        now_s - stamp / 1e9,
    )


def read_memory(file: Path) -> Memory:
    """What is kept; nothing where it is damaged: then root's record of the slots still tells what was tried last."""
    said = _read_json(file)
    failed = said.get("failed")
    kept = {str(name): str(why) for name, why in failed.items()} if isinstance(failed, dict) else {}
    return Memory(_text(said, "trying"), kept)


def _read_json(file: Path) -> Mapping[str, Any]:
    try:
        said = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], key: str) -> str:
    value = said.get(key)
    return value[:LONGEST] if isinstance(value, str) else ""


def _write_whole(file: Path, text: str) -> None:
    """Root may look at any moment; the folder is in memory, so nothing is to be synced."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, file)
