"""JSON in, strictly, and JSON out.

SEC-18: UTF-8 without byte order mark, one value, no duplicate keys, no `NaN` or `Infinity`, numbers of
bounded length, bounded depth, no lone surrogates, no NUL. SEC-19: what leaves this module about a bad
body is a path of field names of ours and the type expected there. A field name that we do not know is
input; it is named only if it is a short word of letters, which no card number can be.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import parse_qsl

import msgspec

from farebox.domain.errors import ErrorCode, FareboxError, InvalidRequest
from farebox.domain.sensitive import Sensitive

T = TypeVar("T")

DEPTH_MAX = 32
INTEGER_DIGITS_MAX = 19
NUMBER_LENGTH_MAX = 32
QUERY_PARAMETERS_MAX = 50

_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_PATH = re.compile(r" - at `\$\.?([a-z_.\[\]0-9]*)`$")
_MISSING = re.compile(r"^Object missing required field `([a-z_0-9]+)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `([A-Za-z_0-9]*)")
_WORD = re.compile(r"[A-Za-z_]{1,40}")
_EXPECTED = re.compile(r"^Expected (`[a-z| ]+`(?: (?:of length )?[<>]=? \d+)?)")
_TRACK_FIELDS = frozenset(
    "track track_data trackdata track1 track2 track_1 track_2 track_one track_two magstripe swipe pin "
    "pin_block emv emv_data".split()
)


def _refuse() -> NoReturn:
    raise InvalidRequest(ErrorCode.BODY_MALFORMED) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse()
    return found


def _integer(digits: str) -> int:
    if len(digits) > INTEGER_DIGITS_MAX:
        _refuse()
    return int(digits)


def _number(digits: str) -> float:
    if len(digits) > NUMBER_LENGTH_MAX:
        _refuse()
    return float(digits)


def _constant(name: str) -> NoReturn:
    _refuse()


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_number, parse_constant=_constant
)


def parse_json(body: bytes) -> Any:
    """Read a body into plain Python values.

    Raises:
        InvalidRequest: `body_malformed`, whatever is wrong with it.
    """
    try:
        text = body.decode("utf-8")
        if body.count(b"{") + body.count(b"[") > DEPTH_MAX:
            _check_depth(text)
        value = _decoder.decode(text)
    except (ValueError, RecursionError):
        _refuse()
    # Only an escape can bring in what UTF-8 cannot carry, or the NUL that PostgreSQL cannot store.
    if b"\\u" in body:
        _check_text(value)
    return value


def _check_depth(text: str) -> None:
    depth = 0
    for match in _TOKENS.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > DEPTH_MAX:
                _refuse()
        elif token in "]}":
            depth -= 1


def _check_text(value: Any) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict):
        for key, item in cast("dict[str, Any]", value).items():
            check_text(key)
            _check_text(item)
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            _check_text(item)


def check_text(text: str) -> None:
    """Refuse text that UTF-8 or a database column cannot carry.

    Raises:
        InvalidRequest: `body_malformed`.
    """
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        _refuse()


def _from_wire(type_: type[Any], value: Any) -> Any:
    """Wrap what is secret in the moment it is decoded."""
    if type_ is Sensitive and isinstance(value, str):
        return Sensitive(value)
    raise ValueError("Expected `str`")


def decode(value: Any, into: type[T], *, strict: bool = True) -> T:
    """Turn plain values into a wire struct.

    Args:
        value: what `parse_json` gave.
        into: a `msgspec.Struct`.
        strict: false for query parameters, all of which are text.

    Raises:
        InvalidRequest: `parameter_invalid`, `parameter_missing`, `parameter_unknown` or
            `track_data_forbidden`, with the path at fault.
    """
    try:
        return msgspec.convert(value, into, strict=strict, dec_hook=_from_wire)
    except msgspec.ValidationError as error:
        refusal = _explain(str(error), value)
    # Raised out here, so that the decoder's message is not its context.
    raise refusal


def _explain(message: str, value: Any) -> FareboxError:
    """Reduce the decoder's message to what may be shown."""
    at = _PATH.search(message)
    path = at.group(1) if at else ""
    if missing := _MISSING.match(message):
        return InvalidRequest(ErrorCode.PARAMETER_MISSING, param=_join(path, missing.group(1)))
    if unknown := _UNKNOWN.match(message):
        return _explain_unknown(unknown.group(1), path, value)
    expected = _EXPECTED.match(message)
    detail = f"Expected {expected.group(1)}." if expected else None
    return InvalidRequest(ErrorCode.PARAMETER_INVALID, param=path or None, detail=detail)


def _explain_unknown(name: str, path: str, value: Any) -> FareboxError:
    """Say where an unknown field stands, as far as that says nothing of its name.

    A name of the outermost object may itself end like a path, since the decoder writes none behind it.
    """
    if isinstance(value, dict) and any("`" in key for key in cast("dict[str, Any]", value)):
        return InvalidRequest(ErrorCode.PARAMETER_UNKNOWN)
    if name.lower() in _TRACK_FIELDS:
        return InvalidRequest(ErrorCode.TRACK_DATA_FORBIDDEN, param=_join(path, name.lower()))
    shown = name if _WORD.fullmatch(name) else ""
    return InvalidRequest(ErrorCode.PARAMETER_UNKNOWN, param=_join(path, shown) or None)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def decode_query(query: bytes, into: type[T]) -> T:
    """Read a query string into a wire struct.

    Raises:
        InvalidRequest: as `decode`; `body_malformed` for a bad encoding, `parameter_invalid` for a
            parameter given twice.
    """
    if not query:
        return decode({}, into, strict=False)
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except ValueError:
        raise InvalidRequest(ErrorCode.BODY_MALFORMED, param="query") from None
    values: dict[str, str] = {}
    for name, value in pairs:
        check_text(value)
        if name in values:
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID)
        values[name] = value
    return decode(values, into, strict=False)


_encoder = msgspec.json.Encoder()
_canonical_encoder = msgspec.json.Encoder(order="deterministic")
encode = _encoder.encode
canonical = _canonical_encoder.encode
"""Encode plain values with sorted keys, so that a repeated request is recognised however it was written."""
