"""What sync relies on in Consul: compare-and-set, absence, the index of a prefix, idempotent ACL objects."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from ritilib.clients.protocols import ConsulClient
from ritilib.errors import Conflict

RULES = 'key_prefix "a/" {\n  policy = "read"\n}\n'


def test_an_absent_key_is_none(consul: ConsulClient, fleet: str) -> None:
    assert consul.read(f"riti/{fleet}/x") is None
    assert consul.read_tree(f"riti/{fleet}/").entries == ()
    assert consul.list_keys(f"riti/{fleet}/").keys == ()


def test_a_write_is_read_back_with_its_index(consul: ConsulClient, fleet: str) -> None:
    key, value = f"riti/{fleet}/x y", "á\n\0".encode() + b"\xff"
    index = consul.write(key, value, 0)
    entry = consul.read(key)
    assert entry is not None
    assert (entry.key, entry.value, entry.modify_index) == (key, value, index)


def test_what_says_so_already_is_not_written_again(consul: ConsulClient, fleet: str) -> None:
    key = f"riti/{fleet}/x"
    assert [consul.put(key, value) for value in (b"1", b"1", b"2", b"")] == [True, False, True, True]
    entry = consul.read(key)
    assert entry is not None and entry.value == b""


def test_an_empty_value_is_a_value(consul: ConsulClient, fleet: str) -> None:
    consul.write(f"riti/{fleet}/x", b"", 0)
    entry = consul.read(f"riti/{fleet}/x")
    assert entry is not None and entry.value == b""


def test_the_second_creator_loses(consul: ConsulClient, fleet: str) -> None:
    consul.write(f"riti/{fleet}/x", b"first", 0)
    with pytest.raises(Conflict):
        consul.write(f"riti/{fleet}/x", b"second", 0)
    entry = consul.read(f"riti/{fleet}/x")
    assert entry is not None and entry.value == b"first"


def test_a_stale_writer_loses(consul: ConsulClient, fleet: str) -> None:
    key = f"riti/{fleet}/x"
    first = consul.write(key, b"1", 0)
    second = consul.write(key, b"2", first)
    assert second > first
    with pytest.raises(Conflict):
        consul.write(key, b"3", first)
    with pytest.raises(Conflict):
        consul.delete(key, first)
    entry = consul.read(key)
    assert entry is not None and entry.value == b"2"


def test_a_key_that_is_gone_cannot_be_updated(consul: ConsulClient, fleet: str) -> None:
    index = consul.write(f"riti/{fleet}/x", b"1", 0)
    consul.delete(f"riti/{fleet}/x", index)
    with pytest.raises(Conflict):
        consul.write(f"riti/{fleet}/x", b"2", index)
    assert consul.read(f"riti/{fleet}/x") is None


def test_deleting_what_is_gone_is_no_conflict(consul: ConsulClient, fleet: str) -> None:
    index = consul.write(f"riti/{fleet}/x", b"1", 0)
    consul.delete(f"riti/{fleet}/x", index)
    consul.delete(f"riti/{fleet}/x", index)


def test_a_prefix_lists_its_keys_only_and_sorted(consul: ConsulClient, fleet: str) -> None:
    for name in ("pbx/c/b", "pbx/a", "inventory/z"):
        consul.write(f"riti/{fleet}/{name}", name.encode(), 0)
    wanted = (f"riti/{fleet}/pbx/a", f"riti/{fleet}/pbx/c/b")
    assert consul.list_keys(f"riti/{fleet}/pbx/").keys == wanted
    assert tuple(entry.key for entry in consul.read_tree(f"riti/{fleet}/pbx/").entries) == wanted


def test_several_keys_are_written_all_or_none(consul: ConsulClient, fleet: str) -> None:
    one, two = f"riti/{fleet}/one", f"riti/{fleet}/two"
    first, second = consul.write_all([(one, b"1", 0), (two, b"2", 0)])
    for indexes in ((first, 0), (0, second)):
        with pytest.raises(Conflict):
            consul.write_all([(one, b"3", indexes[0]), (two, b"4", indexes[1])])
    assert [entry.value for entry in consul.read_tree(f"riti/{fleet}/").entries] == [b"1", b"2"]
    third, same = consul.write_all([(one, b"3", first), (two, b"2", second)])
    found = {
        entry.key: (entry.value, entry.modify_index) for entry in consul.read_tree(f"riti/{fleet}/").entries
    }
    assert found == {one: (b"3", third), two: (b"2", same)}
    with pytest.raises(Conflict):
        consul.write_all([(one, b"4", third), (two, None, same - 1)])
    gone, fourth = consul.write_all([(two, None, same), (one, b"4", third)])
    left = [(entry.value, entry.modify_index) for entry in consul.read_tree(f"riti/{fleet}/").entries]
    assert (left, gone) == ([(b"4", fourth)], 0)


def test_the_index_is_the_newest_write_below_the_prefix(consul: ConsulClient, fleet: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    consul.write(f"{prefix}a", b"1", 0)
    newest = consul.write(f"{prefix}b", b"1", 0)
    assert consul.list_keys(prefix).index == newest
    assert consul.read_tree(prefix).index == newest


def test_the_index_stands_still_when_others_write(consul: ConsulClient, fleet: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    index = consul.write(f"{prefix}a", b"1", 0)
    consul.write(f"riti/{fleet}/inventory/a", b"1", 0)
    consul.put_policy(f"pbx-{fleet}", RULES, f"riti {fleet}")
    assert consul.list_keys(prefix).index == index


def test_writing_the_same_value_again_moves_no_index(consul: ConsulClient, fleet: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    index = consul.write(f"{prefix}a", b"1", 0)
    assert consul.write(f"{prefix}a", b"1", index) == index
    assert consul.list_keys(prefix).index == index


def test_a_deletion_moves_the_index(consul: ConsulClient, fleet: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    index = consul.write(f"{prefix}a", b"1", 0)
    last = consul.write(f"{prefix}b", b"1", 0)
    consul.delete(f"{prefix}a", index)
    assert consul.list_keys(prefix).index > last


def test_a_key_made_again_has_a_higher_index_than_the_deletion(consul: ConsulClient, fleet: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    consul.delete(f"{prefix}a", consul.write(f"{prefix}a", b"1", 0))
    deleted = consul.list_keys(prefix).index
    made = consul.write(f"{prefix}a", b"1", 0)
    assert made > deleted
    assert consul.list_keys(prefix).index == made


def test_a_blocking_query_that_knows_an_older_index_answers_at_once(consul: ConsulClient, fleet: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    older = consul.write(f"{prefix}a", b"1", 0)
    newer = consul.write(f"{prefix}b", b"1", 0)
    assert consul.list_keys(prefix, older, 60).index == newer


def test_a_blocking_query_ends_with_the_same_index_where_nothing_moves(
    consul: ConsulClient, fleet: str
) -> None:
    prefix = f"riti/{fleet}/pbx/"
    index = consul.write(f"{prefix}a", b"1", 0)
    keys = consul.list_keys(prefix, index, 0.1)
    assert (keys.index, keys.keys) == (index, (f"{prefix}a",))


@pytest.mark.parametrize("change", ["write", "make", "delete"])
def test_a_blocking_query_is_ended_by_a_change(consul: ConsulClient, fleet: str, change: str) -> None:
    prefix = f"riti/{fleet}/pbx/"
    index = consul.write(f"{prefix}a", b"1", 0)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(consul.list_keys, prefix, index, 60)
        if change == "write":
            consul.write(f"{prefix}a", b"2", index)
        elif change == "make":
            consul.write(f"{prefix}b", b"2", 0)
        else:
            consul.delete(f"{prefix}a", index)
        assert waiting.result(timeout=30).index > index


@pytest.mark.parametrize("is_new", [False, True])
def test_policies_and_roles_are_written_once(consul: ConsulClient, fleet: str, is_new: bool) -> None:
    name, description = f"pbx-{fleet}--c--b", f"riti {fleet} c/b"
    for wanted in (True, False):
        assert consul.put_policy(name, RULES, description, is_new) is wanted
        assert consul.put_role(name, (name,), description, is_new) is wanted
    assert consul.put_policy(name, RULES.replace("a/", "b/"), description) is True
    assert consul.put_role(name, (), description) is True


@pytest.mark.parametrize("is_new", [False, True])
def test_what_bears_another_mark_is_left_alone(consul: ConsulClient, fleet: str, is_new: bool) -> None:
    name = f"pbx-{fleet}--c--b"
    consul.put_policy(name, RULES, "somebody else")
    consul.put_role(name, (name,), f"riti {fleet}-2 c/b")
    with pytest.raises(Conflict):
        consul.put_policy(name, RULES, f"riti {fleet} c/b", is_new)
    with pytest.raises(Conflict):
        consul.put_role(name, (name,), f"riti {fleet} c/b", is_new)


def test_policies_and_roles_are_deleted_once_and_only_with_their_whole_mark(
    consul: ConsulClient, fleet: str
) -> None:
    name, owner = f"pbx-{fleet}--c--b", f"riti {fleet} c/b"
    consul.put_policy(name, RULES, owner)
    consul.put_role(name, (name,), owner)
    for other in (f"riti {fleet} c/b-2", f"riti {fleet}-2 c/b", f"riti {fleet}", ""):
        with pytest.raises(Conflict):
            consul.delete_role(name, other)
        with pytest.raises(Conflict):
            consul.delete_policy(name, other)
    for wanted in (True, False):
        assert consul.delete_role(name, owner) is wanted
        assert consul.delete_policy(name, owner) is wanted
    assert consul.put_policy(name, RULES, owner) is True
    assert consul.put_role(name, (name,), owner) is True


def test_a_token_is_known_by_its_policies(consul: ConsulClient, fleet: str) -> None:
    name = f"riti-{fleet}"
    consul.put_policy(name, RULES, f"riti {fleet}")
    token = consul.create_token((name,), f"riti {fleet} controller")
    assert consul.has_token(token, (name,))
    assert not consul.has_token(token, (name, "other"))
    assert not consul.has_token("00000000-0000-0000-0000-00000000dead", (name,))
    assert not consul.has_token("00000000-0000-0000-0000-00000000dead", ())


def test_many_keys_are_read_at_once_and_those_that_are_gone_left_out(
    consul: ConsulClient, fleet: str
) -> None:
    wanted = [f"riti/{fleet}/box/{number:02}/report" for number in range(70)]
    for key in wanted[1:]:
        consul.write(key, key.encode(), 0)
        consul.write(f"{key}er", b"beside it", 0)
    found = consul.read_all(wanted)
    assert {key: entry.value for key, entry in found.items()} == {key: key.encode() for key in wanted[1:]}
    first = consul.read(wanted[1])
    assert found[wanted[1]] == first
    assert consul.read_all([]) == {}
