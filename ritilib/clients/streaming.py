"""A long JSON array taken apart while it comes, so that it is never in memory whole."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator

import orjson
import requests

from ritilib.clients.consul_values import Entry, make_entry
from ritilib.clients.session import NotTheServer

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


def read_entries(answer: requests.Response) -> Iterator[Entry]:
    """The keys of Consul's answer, whose body is not read yet; NotTheServer where it is no such list, or not whole."""
    for text in split_array(answer.iter_content(CHUNK_BYTES)):
        try:
            found = orjson.loads(text)
            entry = make_entry({**found, "Value": base64.b64decode(found["Value"] or "")})
        except (ValueError, KeyError, TypeError) as error:
            raise NotTheServer("no list of keys, or only the beginning of it") from error
        yield entry
