"""`python -m bench [NAME …] [--boxes N …]`: all benchmarks but the long ones, or these; of fleets of these sizes alone.

One JSON object a line, as soon as it is known, and a table at the end of each.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ritilib.errors import RitiError

# what benchmarks share; they have no run()
_SUPPORT = {"__init__", "__main__", "measure"}
# what is run only where it is named: half an hour and more
_LONG = {"enroll-10000"}


def list_benchmarks() -> list[str]:
    """Names as they are typed: "sync-noop" is bench/sync_noop.py."""
    modules = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(module.replace("_", "-") for module in modules if module not in _SUPPORT)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--boxes", type=int, nargs="+", help="sizes of fleets; of those that have sizes")
    said = parser.parse_args(arguments)
    names = list_benchmarks()
    unknown = [name for name in said.names if name not in names]
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(names)}")
    progress = Console(stderr=True)
    failed = 0
    for name in said.names or [name for name in names if name not in _LONG]:
        run: Callable[..., Iterable[dict[str, Any]]]
        run = importlib.import_module(f"bench.{name.replace('-', '_')}").run
        if said.boxes and "sizes" not in inspect.signature(run).parameters:
            parser.error(f"{name} has no sizes")
        sizes = {"sizes": said.boxes} if said.boxes else {}
        figures: list[dict[str, Any]] = []
        try:
            for row in run(
                lambda line: progress.print(line, markup=False, highlight=False, soft_wrap=True), **sizes
            ):
                figures.append(row)
                print(json.dumps(row), flush=True)
        except RitiError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
        _print(name, figures)
    return failed


def _print(name: str, figures: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in figures for key in row if key != "bench"))
    table = Table(*columns, title=name)
    for row in figures:
        table.add_row(*(_show(row.get(column, "")) for column in columns))
    if figures:
        Console(width=None if sys.stdout.isatty() else 160).print(table)


def _show(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
