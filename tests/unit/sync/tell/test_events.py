"""The words of what is told: one message for many units, and never longer than people read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ritilib.sync.tell.events import (
    TEXT_LIMIT,
    tell_applied,
    tell_away,
    tell_back,
    tell_held,
    tell_refused,
    tell_removals,
    tell_units,
)

SHA = "4b9115f" + "0" * 33


def test_fifty_boxes_of_one_cause_are_one_message_that_says_it_once() -> None:
    causes = {
        f"acme/box-{n:02}": f"it did; see `nomad job history demo--acme--box-{n:02}`" for n in range(50)
    }
    event = tell_units("went-back", causes, SHA)
    assert len(event.units) == 50
    assert event.text.count("\n") == 1
    assert event.text.startswith(
        "50 units went back to what they were, with commit 4b9115f00000:\nacme/box-00, "
    )
    assert event.text.endswith("and 40 more: it did; see `nomad job history demo--…`")


def test_two_causes_are_two_lines_the_commonest_first() -> None:
    event = tell_units("unit-failed", {"acme/a": "one", "acme/b": "two", "acme/c": "two"}, SHA)
    assert event.text.splitlines() == [
        "3 units fail again and again, with commit 4b9115f00000:",
        "acme/b, acme/c: two",
        "acme/a: one",
    ]


@given(st.dictionaries(st.from_regex(r"[a-z]{1,60}/[a-z]{1,60}", fullmatch=True), st.text(), min_size=1))
def test_a_message_is_bounded_whatever_there_is_to_say(causes: dict[str, str]) -> None:
    assert len(tell_units("unit-failed", causes, SHA).text) <= TEXT_LIMIT + 100
    assert len(tell_refused(SHA, "x" * 5000).text) <= TEXT_LIMIT
    assert len(tell_removals("x" * 5000, "y", SHA).text) <= TEXT_LIMIT


def test_the_words_of_the_others() -> None:
    applied = "commit 4b9115f00000 is applied: 12 units as wished"
    assert tell_applied(SHA, 12, 3).text == f"{applied}, 3 changed"
    assert tell_applied(SHA, 12, 0).text == f"{applied}, nothing had to be changed"
    held = tell_held(["acme/b", "acme/a"], SHA, 60)
    assert held.text == "2 units wait since 60 min for calls to end: acme/a, acme/b (commit 4b9115f00000)"
    assert held.units == ("acme/a", "acme/b")
    assert (
        tell_away(["Vault", "Consul"], 5).text == "Consul, Vault do not answer since 5 min; what runs goes on"
    )
    assert tell_back(["Vault"]).text == "Vault answers again"
