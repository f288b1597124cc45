"""Following a call from Asterisk to Asterisk; what their consoles say is as they said it (Asterisk 22.10.1)."""

from __future__ import annotations

import pytest

from ritilib.devstack.telephony.trace import Map, Trace, read_snapshot, trace_call

HEAD = "Channel               Peer                                      Username    ID (Lo/Rem)  Seq (Tx/Rx)  Lag\n"
CLOUD = {
    "box:acme/montevideo": """\
PJSIP/phone-101-00000000!from-phone!201!3!Up!Dial!IAX2/cloud/201,60,g!101!!!3!0!4372c78d!1795553249.0
IAX2/cloud-5827!from-cloud!!1!Up!AppDial!(Outgoing Line)!201!!!3!0!4372c78d!1795553249.1
IAX2/cloud-5827       100.81.7.3      box         05827/02688  00003/00006  00000ms  0005ms  0045ms  alaw    Tx:NEW
""",
    "pbx:acme/montevideo": """\
IAX2/box-2688!to-peer!201!1!Up!Dial!IAX2/pbx-salto/201,60,g!101!!!3!0!9a60fb80!1795553249.0
IAX2/pbx-salto-9543!from-mesh!!1!Up!AppDial!(Outgoing Line)!201!!!3!0!9a60fb80!1795553249.1
IAX2/box-2688         100.81.7.2      box         02688/05827  00006/00003  00000ms  -0001ms  0000ms  alaw    Rx:NEW
IAX2/pbx-salto-9543   100.81.7.9      pbx-montev  09543/14473  00003/00006  00000ms  -0001ms  0000ms  alaw    Tx:NEW
""",
    "pbx:acme/salto": """\
IAX2/box-12439!from-box!!1!Up!AppDial!(Outgoing Line)!201!!!3!0!0a998e51!1795553249.1
IAX2/pbx-montevideo-14473!to-box!201!1!Up!Dial!IAX2/box/201,60,g!101!!!3!0!0a998e51!1795553249.0
IAX2/box-12439        100.81.7.8      cloud       12439/14527  00003/00006  00000ms  -0001ms  0000ms  alaw    Tx:NEW
IAX2/pbx-montevideo-  100.81.7.3      pbx-montev  14473/09543  00006/00003  00000ms  -0001ms  0000ms  alaw    Rx:NEW
""",
    "box:acme/salto": """\
IAX2/cloud-14527!from-cloud!201!1!Up!Dial!PJSIP/phone-201,45,g!101!!!3!0!e90f9048!1795553249.0
PJSIP/phone-201-00000000!from-phone!!1!Up!AppDial!(Outgoing Line)!201!!!3!0!e90f9048!1795553249.1
IAX2/cloud-14527      100.81.7.9      cloud       14527/12439  00006/00003  00000ms  0007ms  0047ms  alaw    Rx:NEW
""",
}
LINE = {
    "box:acme/montevideo": """\
PJSIP/line-00000002!from-line!!1!Up!AppDial!(Outgoing Line)!047339002!!!3!0!340eccd2!1795553249.3
PJSIP/phone-101-00000001!from-phone!047339002!1!Up!Dial!PJSIP/47339002@line,60,g!101!!!3!0!340eccd2!1795553249.2
""",
    "public": """\
PJSIP/line0-00000000!ring!s!5!Up!Dial!PJSIP/line@line1,120,r!+59826009001!!!3!0!6ef1060f!1795553249.0
PJSIP/line1-00000001!taken!!1!Up!AppDial!(Outgoing Line)!s!!!3!0!6ef1060f!1795553249.1
""",
    "box:acme/salto": """\
PJSIP/line-00000001!from-line!line!1!Up!Dial!PJSIP/phone-201,30,g!line!!!3!0!8d00bbbb!1795553249.2
PJSIP/phone-201-00000002!from-phone!!1!Up!AppDial!(Outgoing Line)!201!!!3!0!8d00bbbb!1795553249.3
""",
}
ADDRESSES = {
    "box:acme/montevideo": "100.81.7.2",
    "pbx:acme/montevideo": "100.81.7.3",
    "box:acme/salto": "100.81.7.8",
    "pbx:acme/salto": "100.81.7.9",
}
KNOWN = Map(
    nodes={address: name for name, address in ADDRESSES.items()},
    addresses=ADDRESSES,
    lines={"acme/montevideo": "line0", "acme/salto": "line1"},
)


def follow(said: dict[str, str]) -> Trace:
    return trace_call("acme/montevideo", "phone-101", KNOWN, lambda node: said[node])


def test_by_the_cloud() -> None:
    trace = follow(CLOUD)
    assert trace.hops == (
        "box:acme/montevideo",
        "pbx:acme/montevideo",
        "pbx:acme/salto",
        "box:acme/salto",
    )
    assert (trace.box, trace.phone, trace.end) == ("acme/salto", "phone-201", None)


def test_by_the_lines() -> None:
    trace = follow(LINE)
    assert trace.hops == (
        "box:acme/montevideo",
        "line:acme/montevideo",
        "public",
        "line:acme/salto",
        "box:acme/salto",
    )
    assert (trace.box, trace.phone) == ("acme/salto", "phone-201")


def test_from_box_to_box() -> None:
    said = {
        "box:acme/montevideo": CLOUD["box:acme/montevideo"].replace("100.81.7.3", "100.81.7.8"),
        "box:acme/salto": CLOUD["box:acme/salto"]
        .replace("100.81.7.9", "100.81.7.2")
        .replace("14527", "02688")
        .replace("12439", "05827"),
    }
    assert follow(said).hops == ("box:acme/montevideo", "box:acme/salto")


def test_a_call_that_another_one_looks_like_is_not_taken_for_it() -> None:
    """The far end has a call with the same peer, but its numbers are another call's."""
    said = CLOUD | {"pbx:acme/montevideo": CLOUD["pbx:acme/montevideo"].replace("02688/05827", "02688/05828")}
    trace = follow(said)
    assert trace.hops == ("box:acme/montevideo", "pbx:acme/montevideo")
    assert (trace.phone, trace.end) == ("", None)


def test_a_call_that_an_asterisk_answers_ends_there() -> None:
    line0 = "PJSIP/line0-00000000!emergency!s!2!Up!Wait!a!b,600!101!!!3!0!!1795553249.0\n"
    trace = follow(LINE | {"public": line0})
    assert trace.hops == ("box:acme/montevideo", "line:acme/montevideo", "public")
    assert trace.end is not None
    assert (trace.end.context, trace.end.application, trace.end.data) == ("emergency", "Wait", "a!b,600")


SECOND = (
    "PJSIP/phone-101-00000001!from-phone!301!3!Up!Dial!IAX2/cloud/301,60,g!101!!!3!0!5372c78d!1795553250.0\n"
)


@pytest.mark.parametrize("said", ["", HEAD, CLOUD["box:acme/montevideo"] + SECOND])
def test_without_exactly_one_call_nothing_is_followed(said: str) -> None:
    assert follow({"box:acme/montevideo": said}) == Trace(("box:acme/montevideo",))


def test_a_peer_that_is_no_node_of_ours_is_told() -> None:
    said = {"box:acme/montevideo": CLOUD["box:acme/montevideo"].replace("100.81.7.3", "192.0.2.1")}
    assert follow({**said, "nowhere": ""}).hops == ("box:acme/montevideo", "nowhere")


def test_what_is_no_channel_is_left_out() -> None:
    snapshot = read_snapshot("0 active IAX channels\n" + HEAD + "a!b\n")
    assert (snapshot.channels, snapshot.legs) == ((), ())
