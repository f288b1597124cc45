"""Boxes that come at once, through the real gateway: each is let in exactly once."""

from __future__ import annotations

from bench.enroll import Size, hold_crowd
from bench.lab.box_servers import FLEET
from bench.lab.offices import name_box, name_serial
from ritilib.render.names import EnrollmentNames

BOXES = 20


def test_twenty_at_once_are_all_let_in_exactly_once() -> None:
    names, units = EnrollmentNames(FLEET), [name_box(number) for number in range(BOXES)]
    with hold_crowd(Size(BOXES, True, 0.0, without_jitter=False), print) as crowd:
        # what a box waits for is there before it comes: who waits at a key that is not is woken by others' writes
        held = [crowd.consul.read(unit.enroll_reply) for unit in units]
        assert [one.value for one in held if one] == [b""] * BOXES
        said = crowd.boxes.do("join")
        assert said["states"] == {"in": BOXES}
        assert set(said["results"]) == {"ok"}, said["results"]
        crowd.registrar.wait_until(lambda: not any(one.open for one in crowd.read_bindings().values()))
        registrar = crowd.registrar
        registrar.finish()  # it has written each binding, and tells so only after all of its step
        assert (registrar.problems, registrar.alarms) == ([], 0)
        assert registrar.done["is bound to"] == registrar.done["is in"] == BOXES
        bound = crowd.read_bindings()
        assert [bound[unit.key].serial for unit in units] == [name_serial(number) for number in range(BOXES)]
        assert {(one.state, one.done, one.conflicts) for one in bound.values()} == {("bound", True, ())}
        assert len({one.thumbprint for one in bound.values()}) == BOXES
        used = crowd.consul.list_keys(names.used("")).keys
        assert sorted(used) == sorted(names.used(one.jti) for one in bound.values())
        assert all(len(one.overlay) == 1 for one in bound.values())  # one certificate was published for each
        assert all(crowd.consul.read(unit.enroll_request) is None for unit in units)
