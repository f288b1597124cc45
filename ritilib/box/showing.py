"""How far a box is, in words that a person can say over the telephone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Literal

from ritilib.box.steps import Known, Step

State = Literal[
    "starting",
    "no-answer",
    "asking",
    "waiting",
    "not-accepted",
    "shut-out",
    "denied",
    "expired",
    "used",
    "copied",
    "let-in",
    "unconfigured",
    "in",
    "trouble",
]
WORDS: dict[State, str] = {
    "starting": "starting: the box makes its keys",
    "no-answer": "no answer from the gateway",
    "asking": "asking to be let in",
    "waiting": "waiting for approval",
    "not-accepted": "the card is not accepted: it is not known yet, revoked, or used up",
    "shut-out": "this box is not let in any more: it is revoked, or was away for longer than its certificate is good",
    "denied": "denied",
    "expired": "the card has expired: this box needs a new one",
    "used": "this card was used by another box",
    "copied": "there is a copy of this box: it is locked until somebody has looked at it",
    "let-in": "let in: the box signs in",
    "unconfigured": "let in: waiting for its configuration",
    "in": "in",
    "trouble": "something does not work",
}
_STATES: dict[Step, State] = {
    Step.MAKE_IDENTITY: "starting",
    Step.MAKE_OVERLAY_KEY: "starting",
    Step.STOP_EXPIRED: "expired",
    Step.STOP_DENIED: "denied",
    Step.STOP_CONFLICT: "used",
    Step.STOP_COPY: "copied",
    Step.READ_DOCUMENT: "unconfigured",
    Step.REST: "in",
    Step.LOGIN_BY_CLAIM: "asking",
    Step.READ_REQUEST: "asking",
    Step.PUT_REQUEST: "asking",
    Step.WAIT_REPLY: "asking",
}
STOPS = (Step.STOP_EXPIRED, Step.STOP_DENIED, Step.STOP_CONFLICT, Step.STOP_COPY)


@dataclass(frozen=True)
class Shown:
    """state is one of the words that a program reads, why what is behind it; key begins the identity's thumbprint."""

    state: State
    unit: str
    serial: str
    key: str
    why: str = ""

    @property
    def words(self) -> str:
        """One line for a person."""
        return f"{WORDS[self.state]} ({self.why})" if self.why else WORDS[self.state]

    def encode(self) -> str:
        """status.json, which holds no secret."""
        said = {"state": self.state, "words": self.words, "unit": self.unit, "serial": self.serial}
        return json.dumps({**said, "key": self.key}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def find_state(step: Step, known: Known, is_bound: bool) -> tuple[State, str]:
    """How far a box is that does this next, and what is behind it. A box that renews is in all the while."""
    answer = known.answer
    if step is Step.WAIT_REPLY and answer and answer.state == "waiting":
        return "waiting", answer.why
    if step in (Step.STOP_DENIED, Step.STOP_CONFLICT):
        return _STATES[step], answer.why if answer else ""
    if step in _STATES and not (is_bound and _STATES[step] == "asking"):
        return _STATES[step], ""
    if is_bound:
        return "in" if known.has_document else "let-in", ""
    return "asking" if step not in (Step.CHOOSE_GENERATION, Step.MAKE_REQUEST) else "starting", ""
