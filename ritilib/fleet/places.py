"""Where in the fleet's files a thing is said: for people who ask why a call goes as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ritilib.fleet.source import Source, Step, parse_source


@dataclass(frozen=True)
class Places:
    """The fleet's files, path → content; every place is "path:line", or just the path where the key is not said."""

    files: Mapping[str, bytes]

    def find_extension(self, key: str, number: str) -> str:
        """The entry of an extension in its box's file; key is "acme/salto"."""
        path = f"fleet/boxes/{key}.yaml"
        return self._find(path, "extensions", number) or path

    def find_line(self, key: str) -> str:
        """The box's own line."""
        return self._locate(f"fleet/boxes/{key}.yaml", ("line",))

    def find_lending(self, key: str) -> str:
        """Where the box says to whom it lends its line."""
        return self._locate(f"fleet/boxes/{key}.yaml", ("line", "lent_to"))

    def find_number(self, company: str, number: str) -> str:
        """The company's route, group or menu of that number; "" where there is none."""
        path = f"fleet/companies/{company}.yaml"
        found = (self._find(path, listed, number) for listed in ("routes", "groups", "menus"))
        return next(filter(None, found), "")

    def find_calls(self, key: str) -> str:
        """Where `calls` is said nearest to the box: in its own file, its company's, or the fleet's."""
        company = key.split("/")[0]
        levels = (f"fleet/boxes/{key}.yaml", f"fleet/companies/{company}.yaml", "fleet/fleet.yaml")
        for path in levels:
            if "calls" in self._parse(path).tree:
                return self._locate(path, ("calls",))
        return "no file: RITI's default"

    def _find(self, path: str, listed: str, number: str) -> str:
        for index, one in enumerate(self._parse(path).tree.get(listed) or ()):
            if str(one.get("number")) == number:
                return self._locate(path, (listed, index, "number"))
        return ""

    def _locate(self, path: str, steps: tuple[Step, ...]) -> str:
        source = self._parse(path)
        return f"{path}:{source.locate(steps)[0]}" if steps[0] in source.tree else path

    def _parse(self, path: str) -> Source:
        source = parse_source(path, self.files[path])
        if not isinstance(source, Source):  # load_fleet has read these very files before
            raise ValueError(f"{path} is not YAML")
        return source
