"""The box's configuration folder: rendered text and secrets put together, every problem at once."""

from __future__ import annotations

import pytest

from ritilib.box.compose import compose_box
from ritilib.errors import GitopsError
from ritilib.render.names import join_secrets, read_generation

RENDERED = {
    "etc/iax.conf": "[general]\nbindport=4569\n\n[cloud](cloud-secret)\ntype=friend\n",
    "etc/pjsip.conf": "[phone-101-auth](phone-101-secret)\nusername=phone-101\n"
    "[common](!)\ntype=endpoint\n[phone-102-auth](phone-102-secret)\n[phone-102](common)\n",
    "etc/modules.conf": "[modules]\nautoload=no\n",
    "overlay.yml": "pki: {}\n",
    "secrets.json": "{}\n",
}
SECRETS = {"iax": {"cloud": "c10ud"}, "phones": {"101": "pass101", "102": "pass102"}}


def test_each_secret_stands_before_its_use_in_the_same_file() -> None:
    files = compose_box(RENDERED, SECRETS)
    assert sorted(files) == ["iax.conf", "modules.conf", "pjsip.conf"]
    assert files["modules.conf"] == RENDERED["etc/modules.conf"]
    assert files["iax.conf"] == "[cloud-secret](!)\nsecret=c10ud\n\n" + RENDERED["etc/iax.conf"]
    assert files["pjsip.conf"] == (
        "[phone-101-secret](!)\ntype=auth\nauth_type=userpass\npassword=pass101\n"
        "[phone-102-secret](!)\ntype=auth\nauth_type=userpass\npassword=pass102\n\n"
        + RENDERED["etc/pjsip.conf"]
    )


def test_a_link_may_have_two_secrets_and_their_version_is_said_first() -> None:
    two = SECRETS | {"iax": {"cloud": join_secrets(["01d", "n3w"])}}
    text = compose_box(RENDERED, two, 7)["iax.conf"]
    assert text == (
        "; secrets version 7\n[cloud-secret](!)\nsecret=01d\nsecret=n3w\n\n" + RENDERED["etc/iax.conf"]
    )
    for bad in (
        {"iax": {"cloud": join_secrets(["01d", "a;b"])}},
        {"phones": {"101": join_secrets(["a", "b"])}},
    ):
        with pytest.raises(GitopsError):
            compose_box(RENDERED, SECRETS | bad)


def test_every_missing_secret_is_named_with_its_place() -> None:
    with pytest.raises(GitopsError) as refused:
        compose_box(RENDERED, {"phones": {"101": "pass101"}})
    assert [(p.file, p.line) for p in refused.value.problems] == [("etc/iax.conf", 4), ("etc/pjsip.conf", 5)]


@pytest.mark.parametrize(
    "bad", ["", "a;b", "a\nb", "a\nhost=10.0.0.1", "a\\b", "a b", '"a"', "a>b", "a#b", "ä", 7, None]
)
def test_a_secret_that_asterisk_would_read_otherwise_is_refused_and_not_shown(bad: object) -> None:
    with pytest.raises(GitopsError) as refused:
        compose_box(RENDERED, SECRETS | {"iax": {"cloud": bad}})
    [problem] = refused.value.problems
    assert "[cloud-secret]" in problem.what
    if len(str(bad)) > 1:
        assert str(bad) not in str(problem) or bad is None


def test_a_name_that_would_end_its_section_is_refused() -> None:
    with pytest.raises(GitopsError):
        compose_box(RENDERED, SECRETS | {"iax": {"cloud": "c10ud", "x](!)\n[general": "abc"}})


PAIR = "[cloud.0](!)\nhost=100.80.0.6\n\n[cloud.1](!)\nhost=100.80.0.7\n\n[cloud](cloud-secret,cloud.{})\n"


@pytest.mark.parametrize(("generation", "half"), [(0, 0), (1, 1), (4, 0), (7, 1)])
def test_the_cloud_is_where_the_newest_instance_of_the_pbx_is(generation: int, half: int) -> None:
    text = compose_box({"etc/iax.conf": PAIR.format(0)}, SECRETS, 3, generation)["iax.conf"]
    assert text == "; secrets version 3\n[cloud-secret](!)\nsecret=c10ud\n\n" + PAIR.format(half)


def test_a_generation_is_read_and_what_is_none_is_the_first() -> None:
    assert read_generation(b'{"generation": 12, "held": ["12 a", "11 b ended"]}') == 12
    for nonsense in (
        None,
        b"",
        b"{}",
        b'{"generation": -1,',
        b'{"generation": 12345678901,',
        b'["generation": 1,',
    ):
        assert read_generation(nonsense) == 0
