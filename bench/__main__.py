"""`python -m bench [NAME]`: run all benchmarks but the long ones, or one; a table, then one JSON object a line."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Sequence
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
    names = list_benchmarks()
    unknown = [name for name in arguments if name not in names]
    if unknown:
        print(f"no benchmark is called {', '.join(unknown)}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    progress = Console(stderr=True)
    failed = 0
    for name in arguments or [name for name in names if name not in _LONG]:
        run: Callable[[Callable[[str], None]], list[dict[str, Any]]]
        run = importlib.import_module(f"bench.{name.replace('-', '_')}").run
        try:
            figures = run(lambda line: progress.print(line, markup=False, highlight=False, soft_wrap=True))
        except RitiError as error:
            print(f"{name}: {error}", file=sys.stderr)
            failed = 1
            continue
        _print(name, figures)
    return failed


def _print(name: str, figures: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(key for row in figures for key in row if key != "bench"))
    table = Table(*columns, title=name)
    for row in figures:
        table.add_row(*(_show(row.get(column, "")) for column in columns))
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    for row in figures:
        print(json.dumps(row), flush=True)


def _show(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
