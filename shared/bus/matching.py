"""Subjects and filters: which subject a filter takes. Pure; the rules are NATS's own.

`*` stands for exactly one token, `>` at the end for one or more. Nothing here knows what a subject means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKEN = re.compile(r"[^\s.*>]+")


def is_subject(text: str) -> bool:
    """Whether a message may be published on it: tokens without blanks and wildcards, none of them empty."""
    return all(_TOKEN.fullmatch(token) for token in text.split("."))


def is_filter(text: str) -> bool:
    """Whether it may be listened on: like a subject, with `*` for a token and `>` for the rest."""
    *head, tail = text.split(".")
    return all(part == "*" or _TOKEN.fullmatch(part) for part in head) and (
        tail in ("*", ">") or _TOKEN.fullmatch(tail) is not None
    )


def matches(filter: str, subject: str) -> bool:
    """Whether the filter takes the subject."""
    if filter == subject:
        return True
    wanted, tokens = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
    elif len(tokens) != len(wanted):
        return False
    return all(want in ("*", token) for want, token in zip(wanted, tokens, strict=False))


def matches_any(filters: Iterable[str], subject: str) -> bool:
    """Whether any of the filters takes the subject."""
    return any(matches(candidate, subject) for candidate in filters)


def overlap(one: str, other: str) -> bool:
    """Whether there is a subject that both filters take."""
    ones, others = one.split("."), other.split(".")
    for a, b in zip(ones, others, strict=False):
        if ">" in (a, b):
            return True
        if a != b and "*" not in (a, b):
            return False
    return len(ones) == len(others)


def is_key(text: str) -> bool:
    """Whether a KV bucket takes it as a key (NATS: letters, digits and `-/_=.`, no dot at either end)."""
    return re.fullmatch(r"[-/_=.a-zA-Z0-9]+", text) is not None and text == text.strip(".")


def covers(wide: str, narrow: str) -> bool:
    """Whether `wide` takes every subject that `narrow` takes."""
    wides, narrows = wide.split("."), narrow.split(".")
    for position, part in enumerate(wides):
        if position >= len(narrows):
            return False
        if part == ">":
            return True
        if narrows[position] == ">" or part not in ("*", narrows[position]):
            return False
    return len(wides) == len(narrows)


def distinct(filters: Iterable[str]) -> tuple[str, ...]:
    """The filters without those that another one covers; together they take the same subjects."""
    kept: list[str] = []
    for candidate in dict.fromkeys(filters):
        if not any(covers(other, candidate) for other in kept):
            kept = [other for other in kept if not covers(candidate, other)] + [candidate]
    return tuple(kept)


def token(name: str) -> str:
    """A name as one token: what a token may not hold becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name) or "-"
