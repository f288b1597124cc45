"""Who may use whose line stands in the sections of the peers, and nowhere else; who uses none of it has none of it."""

from __future__ import annotations

from ritilib.devstack.asterisk_check.conf import read_conf
from ritilib.fleet.load import load_fleet
from ritilib.render.tree import render_tree
from tests.unit.fleets import MONTEVIDEO, SALTO, make_files

LINE = 'line: {number: "+59826001101", lent_to: [rivera]}\n'
RIVERA = 'name: Rivera\nextensions: [{number: "301", name: A}]\n'


def render(**changed: str) -> dict[str, str]:
    files = make_files(**changed)
    return render_tree(load_fleet(files), files, "test")


def read_contexts(tree: dict[str, str], box: str, file: str) -> dict[str, list[str]]:
    """peer → the contexts that its calls may be for, the usual one first."""
    conf = read_conf("iax.conf", tree[f"rendered/acme/{box}/{file}/iax.conf"])
    return {
        section.name: [one.value for one in section.settings if one.name == "context"]
        for section in conf.sections
        if section.name != "general" and not section.is_template
    }


def test_only_the_sections_of_who_may_name_the_line() -> None:
    tree = render(montevideo=MONTEVIDEO + LINE, rivera=RIVERA)
    assert read_contexts(tree, "montevideo", "box/etc") == {
        "cloud": ["from-cloud", "lend"],
        "box-rivera": ["from-peer", "lend"],
        "box-salto": ["from-peer"],
    }
    assert read_contexts(tree, "montevideo", "pbx/live") == {
        "box": ["from-box"],
        "pbx-rivera": ["from-mesh", "lend"],
        "pbx-salto": ["from-mesh"],
    }
    assert read_contexts(tree, "rivera", "pbx/live")["box"] == ["from-box", "borrow-montevideo"]
    for file, peers in (("box/etc", ("cloud", "box-rivera")), ("pbx/live", ("box", "pbx-rivera"))):
        contexts = read_contexts(tree, "salto", file)
        assert [len(contexts[peer]) for peer in peers] == [1, 1]


def test_who_lends_and_limits_nothing_has_no_step_more() -> None:
    plans = [text for path, text in render().items() if path.endswith("extensions.conf")]
    used = render(montevideo=MONTEVIDEO + LINE, rivera=RIVERA + "calls: {at_once: 1}\n", salto=SALTO)
    together = "".join(text for path, text in used.items() if path.endswith("extensions.conf"))
    assert len(plans) == 4
    for word in ("lend", "borrow", "past-line", "OUTSIDE", "@link", "GROUP(link)", "counted", "TOGETHER"):
        assert not [plan for plan in plans if word in plan.partition("[from-")[2]], word
        assert word in together or word in ("past-line", "OUTSIDE"), word
