"""The promises of enrollment, as a table and as properties of every order in which requests may come."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ritilib.enroll.binding import Asked, Binding, Expected, Held, Used, read_binding
from ritilib.enroll.decide import Bind, Conflict, Decision, Keep, Refuse, Wait, decide, find_jti
from tests.unit.enroll.boxes import (
    FLEET,
    FLEET_ID,
    KEY,
    KEYS,
    NOW,
    SERIAL,
    Pi,
    find_public,
    make_card,
    make_key,
)

EXPECTED = Expected(FLEET, FLEET_ID, KEY, SERIAL)
NOBODY = Held()


def bind(box: Pi, request: bytes, generation: int = 1) -> Held:
    """What Consul holds once a box is bound by this request."""
    binding = Binding(
        state="bound",
        generation=generation,
        jti=find_jti(request),
        thumbprint=box.thumbprint,
        request=ask(request, Held(), replace(EXPECTED, generation=generation)).digest,
        serial=box.serial,
    )
    return Held(binding, Used(unit=KEY, thumbprint=box.thumbprint), box.advanced)


def ask(request: bytes, held: Held, expected: Expected | None = EXPECTED) -> Asked:
    """What is known of who made it, whatever is decided."""
    decided = decide(KEYS, expected, held, request, NOW)
    if isinstance(decided, Bind | Keep):
        signed = decided.signed
        return Asked(signed.thumbprint, signed.request.serial, signed.digest)
    return decided.asked


def judge(request: bytes, held: Held = NOBODY, expected: Expected | None = EXPECTED) -> Decision:
    return decide(KEYS, expected, held, request, NOW)


def test_the_merged_box_with_its_claim_is_bound() -> None:
    box, card = Pi(), make_card()
    decided = judge(box.ask(card))
    assert isinstance(decided, Bind)
    assert decided.used == Used(unit=KEY, thumbprint=box.thumbprint)
    assert decided.jti == find_jti(box.ask(card))


def test_the_same_request_is_answered_the_same_for_ever() -> None:
    box, card = Pi(), make_card()
    request = box.ask(card)
    held = bind(box, request)
    for days in (0, 20, 400):
        assert isinstance(decide(KEYS, EXPECTED, held, request, NOW + timedelta(days=days)), Keep)


def test_a_box_that_lost_all_but_its_key_is_bound_again() -> None:
    box, card = Pi(), make_card()
    held = bind(box, box.ask(card))
    assert isinstance(judge(box.ask(card, nonce="m" * 20), held), Bind)


def test_a_stolen_card_is_found_out_and_locks_both() -> None:
    box, thief, card = Pi(), Pi(), make_card()
    held = bind(box, box.ask(card))
    assert isinstance(judge(thief.ask(card), held), Conflict)
    assert held.binding
    locked = Held(held.binding.closing("conflict", "x"), held.used)
    for one in (box, thief):
        for request in (one.ask(card), one.ask(None)):
            assert isinstance(judge(request, locked), Refuse)


def test_a_clone_before_anybody_is_approved_locks_both() -> None:
    box, clone, card = Pi(), Pi(), make_card(serial=None)
    nameless = replace(EXPECTED, serial=None)
    waiting = Binding(state="waiting", thumbprint=box.thumbprint, serial=SERIAL)
    assert isinstance(judge(box.ask(card), Held(waiting), nameless), Wait)
    assert isinstance(judge(clone.ask(card), Held(waiting), nameless), Conflict)


def test_a_used_claim_is_worth_nothing_to_another_key_even_where_the_binding_was_lost() -> None:
    box, other, card = Pi(), Pi(), make_card()
    lost = Held(None, Used(unit=KEY, thumbprint=box.thumbprint))
    assert isinstance(judge(other.ask(card), lost), Refuse)
    assert isinstance(judge(box.ask(card), lost), Bind)


def test_a_copied_key_is_found_out_at_its_renewal() -> None:
    box, card = Pi(), make_card()
    copy = Pi(private=box.private)
    held = bind(box, box.ask(card))
    assert isinstance(judge(box.ask(None), held), Bind)
    assert isinstance(judge(copy.ask(None), held), Conflict)
    assert isinstance(judge(copy.ask(None), replace(held, may_lock=False)), Wait)
    assert isinstance(judge(box.ask(None), replace(held, advanced=None)), Wait)


def test_a_copied_key_in_other_hardware_is_found_out() -> None:
    box, card = Pi(), make_card()
    copy = Pi(private=box.private, serial="10000000abcdef02", advanced=box.advanced)
    assert isinstance(judge(copy.ask(None), bind(box, box.ask(card))), Conflict)


def say(**more: object) -> Callable[[], tuple[bytes, Held, Expected | None]]:
    """A request that is turned away: of a box, with a card, and beside what the fleet says."""

    def make() -> tuple[bytes, Held, Expected | None]:
        box = more.get("box") or Pi()
        assert isinstance(box, Pi)
        card = more["card"]() if "card" in more else make_card()  # type: ignore[operator]
        return box.ask(card), NOBODY, more.get("expected", EXPECTED)  # type: ignore[return-value]

    return make


OTHER_ID = "11111111-2222-3333-4444-555555555555"
REFUSED = {
    "garbage": lambda: (b"a.b.c", NOBODY, EXPECTED),
    "too long": lambda: (b"x" * 20_000, NOBODY, EXPECTED),
    "not text": lambda: (b"\xff\xfe", NOBODY, EXPECTED),
    "no such box": say(expected=None),
    "revoked": say(expected=replace(EXPECTED, revoked=True)),
    "wrong serial in the request": say(
        box=Pi(serial="10000000abcdef02"), card=lambda: make_card(serial=None)
    ),
    "wrong serial in the claim": say(card=lambda: make_card(serial="10000000abcdef02")),
    "foreign key": say(card=lambda: make_card(signer=make_key())),
    "expired": say(card=lambda: make_card(now=NOW - timedelta(days=31))),
    "not good yet": say(card=lambda: make_card(now=NOW + timedelta(hours=1))),
    "another fleet's": say(card=lambda: make_card(fleet_id=OTHER_ID)),
    "another fleet's name": say(card=lambda: make_card(fleet="other")),
    "another box's": say(card=lambda: make_card(key="acme/rivera")),
    "a CSR of another box": say(box=Pi(unit="demo--acme--rivera")),
    "old generation": say(expected=replace(EXPECTED, generation=2)),
    "no proof of the device": say(card=lambda: make_card(otp=find_public(make_key()))),
    "renewal of nobody": say(card=lambda: None),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_is_turned_away_and_touches_nobody(name: str) -> None:
    request, held, expected = REFUSED[name]()
    decided = judge(request, held, expected)
    assert isinstance(decided, Refuse) and decided.why


@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"revoked", "no such box"}))
def test_what_cannot_be_verified_locks_no_bound_box(name: str) -> None:
    """With the claim that is bound already, too: who has only part of what it takes cuts nobody off."""
    request, _, expected = REFUSED[name]()
    box = Pi()
    generation = expected.generation if expected else 1
    card = make_card(generation=generation)
    held = bind(box, box.ask(card), generation)
    assert isinstance(judge(request, held, expected), Refuse)


def test_a_renewal_by_a_foreign_key_is_turned_away() -> None:
    box, card = Pi(), make_card()
    assert isinstance(judge(Pi().ask(None), bind(box, box.ask(card))), Refuse)


def test_the_devices_own_key_proves_the_device() -> None:
    otp = make_key()
    card = make_card(otp=find_public(otp))
    assert isinstance(judge(Pi().ask(card, otp=otp)), Bind)
    assert isinstance(judge(Pi().ask(card, otp=make_key())), Refuse)


def test_a_replaced_box_needs_a_card_of_its_generation() -> None:
    old, new = Pi(), Pi(serial="10000000abcdef02")
    first, second = make_card(), make_card(generation=2, serial=None)
    held = bind(old, old.ask(first))
    replaced = replace(EXPECTED, generation=2, serial="10000000abcdef02")
    assert isinstance(judge(new.ask(second), held), Wait | Refuse | Conflict)
    assert isinstance(judge(old.ask(first), held, replaced), Refuse)
    assert isinstance(judge(old.ask(None), held, replaced), Refuse)
    assert isinstance(judge(new.ask(second), replace(held, used=None), replaced), Bind)


def test_a_card_of_a_generation_that_is_not_merged_waits() -> None:
    assert isinstance(judge(Pi().ask(make_card(generation=2))), Wait)


def test_a_fleet_that_went_back_decides_nothing() -> None:
    box, card = Pi(), make_card(generation=2)
    held = bind(box, box.ask(card), 2)
    assert isinstance(judge(box.ask(None), held), Wait)


def test_without_a_serial_number_it_waits_for_approval() -> None:
    decided = judge(Pi().ask(make_card(serial=None)), expected=replace(EXPECTED, serial=None))
    assert isinstance(decided, Wait) and SERIAL in decided.why


def test_denied_stays_denied_until_another_card() -> None:
    box, card = Pi(), make_card()
    held = Held(Binding(state="denied", jti=find_jti(box.ask(card)), thumbprint=box.thumbprint))
    assert isinstance(judge(box.ask(card), held), Refuse)
    assert isinstance(judge(box.ask(make_card()), held), Bind)


def test_a_binding_is_read_as_it_was_written() -> None:
    box, card = Pi(), make_card()
    binding = bind(box, box.ask(card)).binding
    assert binding is not None
    assert read_binding(binding.encode()) == binding


HARDWARE = (Pi(), Pi(), Pi(serial="10000000abcdef02"))
CARDS = (make_card(), make_card(serial=None), make_card(signer=make_key()), None)
REQUESTS = {(place, card): HARDWARE[place].ask(CARDS[card]) for place in range(3) for card in range(4)}


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(sorted(REQUESTS)), max_size=8))
def test_in_whatever_order_they_ask_one_key_is_bound_at_the_most(order: list[tuple[int, int]]) -> None:
    binding: Binding | None = None
    used: dict[str, Used] = {}
    bound: set[str] = set()
    for one in order:
        request = REQUESTS[one]
        held = Held(binding, used.get(find_jti(request)), HARDWARE[one[0]].advanced)
        match decide(KEYS, EXPECTED, held, request, NOW):
            case Bind(signed, claimed, jti):
                assert signed.request.serial == SERIAL
                bound.add(signed.thumbprint)
                if claimed:
                    used[jti] = claimed
                known = {"jti": jti} if jti else {}
                binding = (binding or Binding(state="bound", thumbprint=signed.thumbprint)).model_copy(
                    update={"state": "bound", "request": signed.digest, "serial": SERIAL, **known}
                )
                assert binding.thumbprint == signed.thumbprint
            case Conflict():
                assert binding and binding.state == "bound"
                binding = binding.closing("conflict", "")
            case Keep(signed):
                assert binding and binding.request == signed.digest
    assert len(bound) <= 1
