"""A long JSON array taken apart while it comes, so that it is never in memory whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

CHUNK_BYTES = 1 << 20


def split_array(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The objects of one array, each as its own JSON; a server that writes them all with the same first field.

    They are told apart by `},{"<first field>":`, which stands in no string: there a quote would be escaped, and one
    that ends a string has no field's name behind it. What is otherwise comes as one piece or is no JSON, and never as
    another object.
    """
    held, mark = b"", b""
    for chunk in chunks:
        held += chunk
        if not mark:
            head, colon, _ = held.partition(b":")
            if not colon:
                continue
            mark, held = head.removeprefix(b"[") + colon, held.removeprefix(b"[")
        first, *others = held.split(b"}," + mark)
        if others:
            yield first + b"}"
            yield from (mark + one + b"}" for one in others[:-1])
            held = mark + others[-1]
    last = held.strip().removeprefix(b"[").removesuffix(b"]")
    if last and last != b"null":
        yield last
