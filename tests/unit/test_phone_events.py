"""Folding what baresip tells into calls; the events are as its ctrl_tcp module sent them."""

from __future__ import annotations

from typing import Any

from ritilib.devstack.telephony.phone_events import Calls, split_netstrings, write_netstring


def event(
    kind: str, id: str, direction: str = "outgoing", number: str = "102", param: str = ""
) -> dict[str, Any]:
    return {
        "event": True,
        "type": f"CALL_{kind}",
        "class": "call",
        "direction": direction,
        "peeruri": f"sip:{number}@192.0.2.1",
        "id": id,
        "param": param,
    }


def test_netstrings_are_split_wherever_the_packets_end() -> None:
    first, second = write_netstring({"command": "dial"}), write_netstring({"command": "grüße, 1:2"})
    stream = first + second
    for cut in range(len(stream) + 1):
        messages, rest = split_netstrings(stream[:cut])
        later, rest = split_netstrings(rest + stream[cut:])
        assert messages + later == [{"command": "dial"}, {"command": "grüße, 1:2"}]
        assert rest == b""


def test_a_dialled_call_gets_its_id_from_its_first_event() -> None:
    calls = Calls()
    call = calls.dial("102")
    assert calls.register({"type": "REGISTER_OK"}, 1.0) is None
    assert calls.register(event("RINGING", "a"), 1.0) is call
    assert (call.state, call.id) == ("ringing", "a")
    calls.register(event("ESTABLISHED", "a"), 2.0)
    calls.register(event("CLOSED", "a", param="Connection reset by peer"), 5.0)
    assert (call.established_at_s, call.closed_at_s, call.reason) == (2.0, 5.0, "Connection reset by peer")
    assert call.has_reached("established")
    assert not call.is_live


def test_two_calls_to_one_number_are_told_apart() -> None:
    calls = Calls()
    first = calls.dial("102")
    calls.register(event("CLOSED", "a", param="486 Busy Here"), 1.0)
    second = calls.dial("102")
    calls.register(event("RINGING", "b"), 2.0)
    assert (first.id, first.reason, first.has_reached("ringing")) == ("a", "486 Busy Here", False)
    assert (second.id, second.state) == ("b", "ringing")


def test_who_waits_without_a_call_in_mind_gets_the_one_in_hand_until_its_story_is_told() -> None:
    calls = Calls()
    assert calls.choose("ringing", None) is None
    refused = calls.dial("102")
    calls.register(event("CLOSED", "a", param="486 Busy Here"), 1.0)
    assert calls.choose("established", refused) is refused
    refused.end_told = True
    assert calls.choose("ringing", refused) is None
    calls.register(event("INCOMING", "b", "incoming", "103"), 2.0)
    incoming = calls.choose("ringing", refused)
    assert incoming is not None
    assert (incoming.number, incoming.outgoing, incoming.state) == ("103", False, "ringing")
    incoming.taken = True
    calls.register(event("CLOSED", "b", "incoming", "103"), 3.0)
    assert calls.choose("closed", incoming) is incoming
    assert calls.choose("ringing", incoming) is None
