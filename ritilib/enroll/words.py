"""The kinds of words in what a box and the controller send each other, and how such a value is read."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from ritilib.errors import EnrollError

JobName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,90}$")]  # "<fleet>--acme--salto"
Token = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{16,128}$")]  # something random
Pem = Annotated[str, StringConstraints(max_length=8192)]
Words = Annotated[str, StringConstraints(max_length=400)]


class Sent(BaseModel):
    """A value that goes from one to the other: unknown fields are passed over, since either may be the newer one."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    def encode(self) -> bytes:
        """Its JSON; the same value gives the same bytes."""
        return self.model_dump_json(exclude_none=True).encode()


Read = TypeVar("Read", bound=Sent)


def read(kind: type[Read], data: bytes, what: str) -> Read:
    """The value of a JSON text. EnrollError names the fields that are wrong, and never what stands in them."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        fields = sorted({".".join(map(str, one["loc"])) or "JSON" for one in error.errors()})
        why = f"{what} cannot be read: {', '.join(fields)}"
        raise EnrollError.because(why, "see which version wrote it") from None
