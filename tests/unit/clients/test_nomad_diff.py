"""Nomad's diff as lines: what changed and no more, and nothing of a hand's that may be a secret."""

from __future__ import annotations

from typing import Any

from ritilib.clients.nomad_diff import diff_texts, hide_foreign, write_diff


def make_field(name: str, old: str, new: str, *notes: str) -> dict[str, Any]:
    kind = "None" if old == new else "Added" if not old else "Deleted" if not new else "Edited"
    return {"Type": kind, "Name": name, "Old": old, "New": new, "Annotations": list(notes) or None}


def make_diff(*fields: dict[str, Any], objects: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    task = {
        "Type": "Edited",
        "Name": "pbx",
        "Fields": list(fields),
        "Objects": list(objects),
        "Annotations": ["forces create/destroy update"],
    }
    same = {"Type": "None", "Name": "overlay", "Fields": None, "Objects": None}
    group = {
        "Type": "Edited",
        "Name": "pbx",
        "Fields": None,
        "Objects": None,
        "Updates": {"create/destroy update": 1},
        "Tasks": [same, task],
    }
    return {"Type": "Edited", "ID": "demo--acme--a", "Fields": None, "Objects": None, "TaskGroups": [group]}


def test_another_image_is_one_line_below_its_task() -> None:
    image = {"Type": "Edited", "Name": "Config", "Fields": [make_field("image", "pbx:1", "pbx:2")]}
    kept = {"Type": "None", "Name": "Resources", "Fields": [make_field("CPU", "50", "50")]}
    assert write_diff(make_diff(objects=(image, kept)), is_foreign=False) == (
        '~ job "demo--acme--a"',
        '  ~ group "pbx" (1 create/destroy update)',
        '    ~ task "pbx" (forces create/destroy update)',
        "      ~ Config",
        '        ~ image: "pbx:1" → "pbx:2"',
    )


def test_a_template_is_a_diff_of_its_lines() -> None:
    old = "\n".join(f"line {number}" for number in range(20))
    new = old.replace("line 10\n", "line ten\n")
    lines = write_diff(make_diff(make_field("EmbeddedTmpl", old, new)), is_foreign=False)
    assert "        -line 10" in lines and "        +line ten" in lines
    assert not any("line 3" in line for line in lines)


def test_what_is_added_and_taken_away() -> None:
    lines = write_diff(make_diff(make_field("User", "", "root"), make_field("Leader", "true", "")), False)
    assert lines[-2:] == ('      + User: "root"', '      - Leader: "true"')


def test_nothing_and_a_new_job_are_short() -> None:
    assert write_diff({"Type": "None", "ID": "x"}, False) == ()
    assert write_diff({"Type": "Added", "ID": "x", "Fields": [make_field("a", "", "b")]}, False) == (
        '+ job "x"',
    )


def test_what_a_hand_put_into_a_job_is_not_shown_where_it_may_be_a_secret() -> None:
    diff = make_diff(
        make_field("Env[DSN]", "mysql://hidden-one", ""),
        make_field("Env[MODE]", "hidden-two", "fast"),
        make_field("KillTimeout", "5s", "20s"),
        make_field("EmbeddedTmpl", "a\nsecret=hidden-three\nb", "a\nb"),
        objects=(
            {
                "Type": "Edited",
                "Name": "Config",
                "Fields": [
                    make_field("auth[password]", "hidden-four", ""),
                    make_field("args[0]", "--token=hidden-five", "--fast"),
                ],
            },
        ),
    )
    foreign = "\n".join(write_diff(diff, is_foreign=True))
    assert "hidden-" not in foreign
    assert 'Env[MODE]: "[hidden]" → "fast"' in foreign
    assert '"5s" → "20s"' in foreign and "secret" not in foreign.replace("secrets", "")
    assert "hidden-two" in "\n".join(write_diff(diff, is_foreign=False))


def test_lines_that_git_has_are_shown_whoever_wrote_the_rest() -> None:
    assert hide_foreign("", "secret=old\n[a](pair-secret)", "[a](pair-secret)") == (
        "[hidden]\n[a](pair-secret)"
    )


def test_long_lines_are_cut_and_equal_texts_are_nothing() -> None:
    assert diff_texts("a\n", "a\n") == ()
    lines = diff_texts("", "x" * 5000)
    assert max(map(len, lines)) <= 160
