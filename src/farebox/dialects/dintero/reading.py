"""What readers of this dialect share: amounts, instants, headers, facts, and refusals by field."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import cast

from farebox.dialects.dialect import Headers, WireError, WireRefusal
from farebox.dialects.dintero.errors import INVALID
from farebox.dialects.dintero.wire import Amount
from farebox.domain.errors import ErrorCode, Problem
from farebox.domain.facts import Facts
from farebox.domain.webhooks import CallbackUrl

_AMOUNT_MAX = 2**31 - 1
"""Amounts are int32."""
_ROUNDING_NOISE = 0.001
_SYSTEM_HEADERS = (
    "dintero-system-name",
    "dintero-system-version",
    "dintero-system-plugin-name",
    "dintero-system-plugin-version",
    "user-agent",
)
_HEADER_LENGTH_MAX = 200
TOGGLES = b"dintero-feature-toggles"


def invalid(param: str, detail: str, code: ErrorCode = ErrorCode.PARAMETER_INVALID) -> WireRefusal:
    """Refuse a field; the detail is a text of ours."""
    wire = WireError(INVALID.status, detail, INVALID.code)
    return WireRefusal(wire, param=param, problems=(Problem(code, param, detail),))


def missing(*params: str) -> WireRefusal:
    """Refuse a request that lacks fields, naming all of them."""
    return WireRefusal(
        INVALID,
        param=params[0],
        problems=[Problem(ErrorCode.PARAMETER_MISSING, param) for param in params],
    )


def minor(amount: Amount, param: str, *, least: int = 0) -> int:
    """Read an amount; what is a whole number but for the noise of floats is that number.

    Raises:
        WireRefusal: it is none, or out of range.
    """
    whole = round(amount)
    if abs(whole - amount) > _ROUNDING_NOISE:
        raise invalid(param, "must be a whole number of minor units")
    if not least <= whole <= _AMOUNT_MAX:
        raise invalid(param, f"must be from {least} to {_AMOUNT_MAX}")
    return whole


def text(value: str | int | None) -> str | None:
    """Read a text that some programs write as a number."""
    return None if value is None else str(value)


_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d+))?\s*(?:([Zz])|([+-]\d\d):?(\d\d)?)?)?"
)


def instant_in(value: str, param: str, *, ends: bool = False) -> datetime:
    """Read an ISO 8601 instant, UTC where it names no zone.

    Args:
        value: the text. Its fraction may have any number of digits: Magento writes the day of the year there.
        param: where it stands.
        ends: a bare date means the end of that day.

    Raises:
        WireRefusal: it is none.
    """
    match = _INSTANT.fullmatch(value.strip())
    if match is None:
        raise invalid(param, "must be an ISO 8601 date and time")
    try:
        day, clock, fraction, _, hours, minutes = match.groups()
        at = datetime.fromisoformat(day)
        if clock is None:
            at = datetime.combine(at, time.max if ends else time.min)
        else:
            at = datetime.combine(at, time.fromisoformat(clock))
            at += timedelta(seconds=float(f"0.{fraction or 0}"))
        ahead = timedelta(hours=int(hours or 0), minutes=int(f"{(hours or '+')[0]}{minutes or 0}"))
        return (at - ahead).replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise invalid(param, "must be an ISO 8601 date and time") from None


def listed(values: Iterable[str] | None) -> frozenset[str]:
    """Read a list parameter: repeated, or with commas."""
    parts = (part.strip() for value in values or () for part in value.split(","))
    return frozenset(part for part in parts if part)


def system_headers(headers: Headers) -> Facts:
    """Keep what says which program asks."""
    found = {
        name: headers[name.encode()].decode("latin-1")[:_HEADER_LENGTH_MAX]
        for name in _SYSTEM_HEADERS
        if name.encode() in headers
    }
    return dict(found)


def toggles(headers: Headers) -> frozenset[str]:
    """Read which optional behaviours the caller switches on."""
    return listed([headers.get(TOGGLES, b"").decode("latin-1")])


def callback_of(facts: Facts, account_id: str) -> CallbackUrl | None:
    """Read the address that is told of a session; what is empty is none."""
    url = text_of(object_of(facts, "url"), "callback_url")
    return CallbackUrl(url, "callback", {"account_id": account_id}) if url else None


# --- facts ------------------------------------------------------------------------------------------------


def object_of(facts: Facts, name: str) -> Facts:
    """Give an object among facts; an empty one where there is none."""
    value = facts.get(name)
    return cast("Facts", value) if isinstance(value, Mapping) else {}


def text_of(facts: Facts, name: str) -> str | None:
    """Give a text among facts."""
    value = facts.get(name)
    return value if isinstance(value, str) else None


def list_of(facts: Facts, name: str) -> Sequence[object]:
    """Give a list among facts."""
    value = facts.get(name)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return cast("Sequence[object]", value)
    return ()


def objects_of(facts: Facts, name: str) -> list[Facts]:
    """Give the objects of a list among facts."""
    return [cast("Facts", one) for one in list_of(facts, name) if isinstance(one, Mapping)]


def without_empty(members: Mapping[str, object | None]) -> dict[str, object]:
    """Leave out what has no value."""
    return {name: value for name, value in members.items() if value is not None and value not in ({}, [])}
