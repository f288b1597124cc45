"""The controller's log: one JSON object a line for programs, plain words on a terminal, and never a secret."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from ritilib.errors import RitiError
from ritilib.gitops.command import hide_credentials

Level = Literal["debug", "info", "warning", "error"]
HIDDEN = "[hidden]"
MOST_HIDDEN = 500  # a controller's standing tokens are renewed every half hour, for years
SHORTEST_HIDDEN = 8  # a shorter secret would take half the words out of the log; none of ours is
_SECRET_FIELDS = re.compile(
    r"token|secret|password|passphrase|authorization|private|credential", re.IGNORECASE
)
_RESERVED = ("time", "level", "event")


class Journal:
    """Writes lines to a stream, from any thread, each whole. A stream that takes nothing stops no cycle.

    A secret is hidden twice over: by the name of its field, and, wherever it stands, by being one of those that the
    journal was told to hide.
    """

    def __init__(
        self,
        stream: TextIO,
        style: Literal["json", "plain"],
        secrets: Iterable[str] = (),
        least: Level = "info",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._told: tuple[str, ...] = ()  # the latest last
        self._secrets: tuple[str, ...] = ()  # the same, the longest first
        self.hide(secrets)
        # of its own and not in the process's tree of loggers: libraries do not write here, and nobody reconfigures it
        self._logger = logging.Logger("riti", getattr(logging, least.upper()))
        handler = _Handler(stream)
        handler.setFormatter(_Json() if style == "json" else _Plain())
        self._logger.addHandler(handler)

    def hide(self, secrets: Iterable[str]) -> None:
        """More words that no line may show: a token that was renewed, say. Of many, those told last are remembered."""
        fresh = dict.fromkeys(one for one in secrets if len(one) >= SHORTEST_HIDDEN)
        with self._lock:
            told = [*(one for one in self._told if one not in fresh), *fresh]
            self._told = tuple(told[-MOST_HIDDEN:])
            self._secrets = tuple(sorted(self._told, key=lambda one: (-len(one), one)))

    def redact(self, text: str) -> str:
        """A text without the secrets that the journal was told to hide, for what is shown elsewhere."""
        return self._hide(text)

    def note(self, level: Level, event: str, **fields: Any) -> None:
        """One line. event is a short name that stays the same ("cycle-done"); fields: box, commit, seconds, ….

        A field that is None is left out. What is no text, number, list or mapping is written as its str().
        """
        if any(name in _RESERVED for name in fields):
            raise ValueError(f"a field of a line cannot be called {', '.join(_RESERVED)}")
        said = {name: self._clean(name, value) for name, value in fields.items() if value is not None}
        line = {
            "time": self._clock().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": level,
        }
        number = getattr(logging, level.upper())
        self._logger.log(number, "%s", "", extra={"line": {**line, "event": self._hide(event), **said}})

    def note_problems(self, event: str, error: RitiError, level: Level = "error", **fields: Any) -> None:
        """One line for each problem of an error, with its words, its mend and its place."""
        for problem in error.problems:
            place = {"file": problem.file or None, "line": problem.line or None, "rule": problem.rule or None}
            self.note(
                level,
                event,
                kind=type(error).__name__,
                what=problem.what,
                mend=problem.mend or None,
                **place,
                **fields,
            )

    def _clean(self, name: str, value: Any) -> Any:
        if _SECRET_FIELDS.search(name):
            return HIDDEN
        if isinstance(value, bool | int | float):
            return value
        if isinstance(value, dict):
            return {self._hide(str(key)): self._clean(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [
                self._clean("", one)
                for one in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)
            ]
        return self._hide(str(value))

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return hide_credentials(text)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes a line at once, and drops what cannot be written: a full disk under the log must not end the loop."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing; the library would print a traceback, with the line in it."""


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(record.line, ensure_ascii=True, default=str)  # type: ignore[attr-defined]


class _Plain(logging.Formatter):
    """Time of day, level, event, and name=value; no control character reaches the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        line = dict(record.line)  # type: ignore[attr-defined]
        head = f"{line.pop('time')[11:19]} {line.pop('level'):<7} {line.pop('event')}"
        said = [f"{name}={_quote(value)}" for name, value in line.items()]
        return " ".join([_quote(head, bare=True), *said])


def _quote(value: Any, bare: bool = False) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape", "replace").decode() for one in text
    )
    return (
        shown
        if bare or (shown and " " not in shown) or not isinstance(value, str)
        else json.dumps(shown, ensure_ascii=False)
    )
