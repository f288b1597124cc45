"""What a machine lacks is told at once, each with the command that gives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ritilib.devstack.machine import recipe
from ritilib.devstack.machine.needs import APT_NEEDS, OLDEST, Machine, list_missing, list_packages

BARE = Machine(
    python=(3, 9),
    root=False,
    found={},
    docker_answers=False,
    tun=False,
    go=None,
    go_fetches=False,
    builds=recipe.ALL,
    bao=None,
)
FULL = Machine(
    python=(3, 11),
    root=True,
    found={name: Path("/usr/bin") / name for need in APT_NEEDS for name in (*need.found_by, *OLDEST)},
    docker_answers=False,
    tun=True,
    go=(1, 24),
    go_fetches=False,
    builds=(),
    bao=Path("/usr/bin/bao"),
)


def test_a_bare_machine_hears_of_everything_at_once() -> None:
    missing = list_missing(BARE)
    text = "\n".join(str(problem) for problem in missing)
    for word in ("Python 3.9", "not root", "/dev/net/tun", "nomad 1.10.5", "consul 1.15.3", "nebula 1.10.3"):
        assert word in text
    assert "OpenBao" in text
    for need in APT_NEEDS:
        assert need.package in text
    assert all(problem.mend for problem in missing)


def test_a_full_machine_needs_nothing() -> None:
    assert list_missing(FULL) == []
    assert list_packages(FULL) == []


def test_packages_are_one_command_where_there_is_apt() -> None:
    machine = replace(FULL, root=False, found={"apt-get": Path("/usr/bin/apt-get")})
    installs = [
        problem.mend for problem in list_missing(machine) if problem.mend.startswith("apt-get install")
    ]
    assert len(installs) == 1
    assert list_missing(replace(machine, root=True)) == []


def test_docker_need_not_be_installed_where_a_daemon_answers() -> None:
    machine = replace(FULL, found={}, docker_answers=True)
    assert "docker.io" not in [need.package for need in list_packages(machine)]


def test_a_compiler_is_only_for_building() -> None:
    packages = [need.package for need in list_packages(replace(FULL, found={}))]
    assert "gcc" not in packages
    assert "gcc" in [need.package for need in list_packages(replace(FULL, found={}, builds=recipe.ALL))]


def test_an_older_go_may_fetch_a_newer_one() -> None:
    machine = replace(FULL, builds=recipe.ALL)
    assert [problem.what for problem in list_missing(machine) if "nebula" in problem.what]
    assert list_missing(replace(machine, go_fetches=True)) == []
    assert list_missing(replace(machine, go=(1, 26))) == []


def test_the_cache_is_keyed_by_everything_that_decides_what_is_built(tmp_path: Path) -> None:
    folder = recipe.NOMAD.find_folder(tmp_path)
    assert folder == recipe.NOMAD.find_folder(tmp_path)
    assert folder != replace(recipe.NOMAD, flags=()).find_folder(tmp_path)
    assert not recipe.NOMAD.is_built(tmp_path)


def test_gitea_is_for_the_tests_alone() -> None:
    """`make demo` and `riti dev up` build what is in ALL; `riti dev setup --forge` (make test) builds FORGE too."""
    assert recipe.FORGE == (recipe.GITEA,)
    assert recipe.GITEA not in recipe.ALL
    missing = list_missing(replace(FULL, go=None, builds=recipe.FORGE))
    said = [problem for problem in missing if "gitea" in problem.what]
    assert len(said) == 1
    assert said[0].mend == "put Go 1.24 or newer on PATH"
    assert "gcc" in [need.package for need in list_packages(replace(FULL, found={}, builds=recipe.FORGE))]


def test_every_recipe_is_pinned() -> None:
    for one in (*recipe.ALL, *recipe.FORGE):
        module = one.programs[0][1].split("/cmd/")[0]
        assert f"{module} v{one.version}\n" in (one.folder / "go.mod").read_text()
        assert f"{module} v{one.version} h1:" in (one.folder / "go.sum").read_text()


def test_what_gitea_reads_when_it_runs_decides_the_cache_too(tmp_path: Path) -> None:
    assert recipe.GITEA.find_folder(tmp_path) != replace(recipe.GITEA, assets=()).find_folder(tmp_path)
