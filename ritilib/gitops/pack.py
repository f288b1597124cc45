"""Many texts that are much alike, held compressed together: a fleet's own take a thirtieth of their length."""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

PACK_BYTES = 512 * 1024  # what one look at a text has to unpack: 1 ms
# A third of what zlib's level 3 leaves, in three times its time: zlib looks back over 32 KB, less than two units' dial
# plans, which are what is alike.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": PACK_BYTES}]
UNPACKED = (
    16  # packs that are held unpacked for whoever looks again: one for each unit that is applied meanwhile
)


class Texts(Mapping[str, str]):
    """path → text, of one unit; each look reads it out of the pack."""

    __slots__ = ("_pack", "_paths", "_spans")

    def __init__(self, pack: _Pack, paths: tuple[str, ...], spans: tuple[int, ...]) -> None:
        """spans: the two places of the pack, in bytes, between which the text of each path stands."""
        self._pack, self._paths, self._spans = pack, paths, spans

    def __getitem__(self, path: str) -> str:
        try:
            place = self._paths.index(path) * 2
        except ValueError:
            raise KeyError(path) from None
        start, end = self._spans[place : place + 2]
        return _unpack(self._pack)[start:end].decode()

    def __contains__(self, path: object) -> bool:
        return path in self._paths

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def __repr__(self) -> str:
        return f"Texts({', '.join(self._paths)})"


class _Pack:
    """Texts one after the other, compressed; told from others by which object it is."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = lzma.compress(content, lzma.FORMAT_RAW, filters=_FILTERS)


def pack_texts(units: Mapping[str, Mapping[str, str]]) -> dict[str, Texts]:
    """The same texts, packed: unit → path → text. Texts of one path stand side by side, where they compress best, and
    one that several units have stands there once."""
    packed: dict[str, Texts] = {}
    for group in _group(units):
        content = bytearray()
        spans: dict[str, dict[str, tuple[int, int]]] = {unit: {} for unit in group}
        for path in dict.fromkeys(path for unit in group for path in units[unit]):
            known: dict[str, tuple[int, int]] = {}
            for unit in group:
                text = units[unit].get(path)
                if text is None:
                    continue
                if text not in known:
                    start = len(content)
                    content += text.encode()
                    known[text] = (start, len(content))
                spans[unit][path] = known[text]
        pack = _Pack(bytes(content))
        for unit in group:
            places = tuple(place for path in units[unit] for place in spans[unit][path])
            packed[unit] = Texts(pack, _share(tuple(units[unit])), places)
    return packed


def _group(units: Mapping[str, Mapping[str, str]]) -> Iterable[list[str]]:
    """Units in their order, as many together as PACK_BYTES holds, and one at the least."""
    group: list[str] = []
    known: set[tuple[str, str]] = set()
    size = 0
    for unit, texts in units.items():
        length = sum(len(text) for path, text in texts.items() if (path, text) not in known)
        if group and size + length > PACK_BYTES:
            yield group
            group, size = [], 0
            known.clear()
            length = sum(map(len, texts.values()))
        group.append(unit)
        known.update(texts.items())
        size += length
    if group:
        yield group


@lru_cache(maxsize=64)
def _share(paths: tuple[str, ...]) -> tuple[str, ...]:
    """One and the same tuple for all units that have these files."""
    return paths


@lru_cache(maxsize=UNPACKED)
def _unpack(pack: _Pack) -> bytes:
    return lzma.decompress(pack.content, lzma.FORMAT_RAW, filters=_FILTERS)
