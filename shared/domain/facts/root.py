"""What every fact is: a frozen value with a subject. No fact lives here."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Value(BaseModel):
    """A frozen value on the wire."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fact(Value):
    """The root of all facts. `subject` is the template of where it is stored."""

    subject: ClassVar[str] = ""
    family: ClassVar[str] = ""
