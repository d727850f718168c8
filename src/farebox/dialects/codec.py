"""JSON in, strictly, and JSON out.

SEC-18: UTF-8 without byte order mark, one value, no duplicate keys, no `NaN` or `Infinity`, numbers of
bounded length, bounded depth, no lone surrogates, no NUL. SEC-19: what leaves this module about a bad
body is a path of field names of ours and the type expected there. A field name that we do not know is
input; it is named only if it is a short word of letters, which no card number can be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, cast, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec

from farebox.dialects.dialect import STRICT, Reading
from farebox.domain.errors import MESSAGES, ErrorCode, FareboxError, InvalidRequest, Problem
from farebox.domain.sensitive import Sensitive

T = TypeVar("T")

DEPTH_MAX = 32
INTEGER_DIGITS_MAX = 19
NUMBER_LENGTH_MAX = 32
QUERY_PARAMETERS_MAX = 50

_INTEGER_END = 10**INTEGER_DIGITS_MAX
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_PATH = re.compile(r" - at `\$\.?([A-Za-z_.\[\]0-9]*)`$")
_MISSING = re.compile(r"^Object missing required field `([A-Za-z_0-9]+)`")
_UNKNOWN = re.compile(r"^Object contains unknown field `([A-Za-z_0-9]*)")
_WORD = re.compile(r"[A-Za-z_]{1,40}")
_PADDED = re.compile(r"0[0-9]+")
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


_decode_json = msgspec.json.Decoder().decode


def parse_json(body: bytes) -> Any:
    """Read a body into plain Python values.

    Raises:
        InvalidRequest: `body_malformed`, whatever is wrong with it.
    """
    try:
        return _read_plainly(body)
    except _NotPlain:
        return _read_strictly(body)


class _NotPlain(Exception):
    """The quick decoder alone cannot tell whether this body is as strict as it has to be."""


def _read_plainly(body: bytes) -> Any:
    """Read a body of the usual kind with the quick decoder, which itself takes a name twice.

    No more names can be in a body than colons, so where as many were found, none was there twice.

    Raises:
        _NotPlain: for a body that is wrong, and for one with an escape, a fraction, a colon in a text, or
            brackets or digits beyond measure.
    """
    if b"\\" in body or body.count(b"{") + body.count(b"[") > DEPTH_MAX:
        raise _NotPlain
    try:
        value = _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    else:
        if _names_in(value) == body.count(b":"):
            return value
    # Raised out here, so that the decoder's message is not its context.
    raise _NotPlain


def _names_in(value: Any) -> int:
    """Count the names of all objects in a value."""
    if type(value) is dict:
        members = cast("dict[str, Any]", value)
        return len(members) + sum([_names_in(item) for item in members.values() if type(item) is not str])
    if type(value) is list:
        return sum([_names_in(item) for item in cast("list[Any]", value)])
    if type(value) is float or (type(value) is int and abs(value) >= _INTEGER_END):
        raise _NotPlain
    return 0


def _read_strictly(body: bytes) -> Any:
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
    """Wrap what is secret in the moment it is decoded, and keep what a dialect only gives back."""
    if type_ is object:
        return value
    if type_ is Sensitive and isinstance(value, str):
        return Sensitive(value)
    raise ValueError("Expected `str`")


def _from_lenient_wire(type_: type[Any], value: Any) -> Any:
    """Wrap what is secret, written as a number too."""
    if type_ is not object and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return _from_wire(type_, value)


def decode(value: Any, into: type[T], *, strict: bool = True) -> T:
    """Turn plain values into a wire struct.

    Args:
        value: what `parse_json` gave.
        into: a `msgspec.Struct`.
        strict: false where numbers may come as texts, as in a query, and secrets as numbers.

    Raises:
        InvalidRequest: `parameter_invalid`, `parameter_missing`, `parameter_unknown` or
            `track_data_forbidden`, with the path at fault.
    """
    try:
        return msgspec.convert(
            value, into, strict=strict, dec_hook=_from_wire if strict else _from_lenient_wire
        )
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
    separator = "" if name.startswith("[") else "."
    return f"{path}{separator}{name}" if path and name else path or name


@cache
def _without_values(into: type[T]) -> T:
    """Make the struct of a request that says nothing; it is immutable, so one serves all."""
    return decode({}, into, strict=False)


def decode_query(query: bytes, into: type[T], reading: Reading = STRICT) -> T:
    """Read a query string into a wire struct.

    Raises:
        InvalidRequest: as `decode`; `body_malformed` for a bad encoding, `parameter_invalid` for a
            parameter given twice, unless the dialect reads it as a list.
    """
    if not query:
        return _without_values(into)
    parameters = _parameters(into)
    lists = {name for name in parameters if reading.repeats_parameters and _item_type(parameters[name])}
    values = read_form(query, names=parameters if reading.ignores_case else (), lists=lists)
    if reading.ignores_unknown_parameters:
        values = {name: value for name, value in values.items() if name in parameters}
    return decode(values, into, strict=False)


@cache
def _parameters(struct: Any) -> dict[str, Any]:
    return {one.encode_name: one.type for one in msgspec.structs.fields(struct)}


def read_form(
    encoded: bytes, *, names: Iterable[str] = (), lists: Container[str] = frozenset()
) -> dict[str, Any]:
    """Read `application/x-www-form-urlencoded`.

    Args:
        encoded: the form or query.
        names: how names are written whatever their case.
        lists: names that may be given several times; their value is a list of texts.

    Raises:
        InvalidRequest: `body_malformed`, or `parameter_invalid` for another name given twice.
    """
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(encoded),
            errors="strict",
            max_num_fields=QUERY_PARAMETERS_MAX,
        )
    except ValueError:
        raise InvalidRequest(ErrorCode.BODY_MALFORMED, param="query") from None
    written = {name.lower(): name for name in names}
    values: dict[str, Any] = {}
    for given, value in pairs:
        name = written.get(given.lower(), given)
        check_text(value)
        if name in lists:
            values.setdefault(name, []).append(value)
        elif name in values:
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID)
        else:
            values[name] = value
    return values


# --- what lenient dialects need ---------------------------------------------------------------------


def without_nulls(value: Any) -> Any:
    """Leave out members whose value is null, at every depth."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: without_nulls(item) for name, item in members.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in cast("list[Any]", value)]
    return value


def with_known_names(value: Any, into: Any) -> Any:
    """Write member names as the struct does, whatever their case, at every depth that has structs."""
    if isinstance(value, list):
        item_type = _item_type(into)
        return [with_known_names(item, item_type) for item in cast("list[Any]", value)]
    struct = _struct_of(into)
    if struct is None or not isinstance(value, dict):
        return value
    known = _names(struct)
    members: dict[str, Any] = {}
    for name, item in cast("dict[str, Any]", value).items():
        field = known.get(name.lower())
        if field is None:
            members[name] = item
        else:
            members.setdefault(field.encode_name, with_known_names(item, field.type))
    return members


def with_texts(value: Any, into: Any) -> Any:
    """Write numbers as texts where the struct wants texts, and the reverse, at every depth that has structs.

    The decoder reads texts as numbers by itself, but not those with leading zeros.
    """
    if isinstance(value, list):
        item_type = _item_type(into)
        return [with_texts(item, item_type) for item in cast("list[Any]", value)]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value) if _is(str, into) else value
    if isinstance(value, str):
        is_padded = len(value) <= INTEGER_DIGITS_MAX and _PADDED.fullmatch(value)
        return int(value) if is_padded and _is(int, into) else value
    struct = _struct_of(into)
    if struct is None or not isinstance(value, dict):
        return value
    types = {one.encode_name: one.type for one in msgspec.structs.fields(struct)}
    members = cast("dict[str, Any]", value)
    return {name: with_texts(item, types.get(name)) for name, item in members.items()}


def _is(kind: type[Any], type_: Any) -> bool:
    """Tell whether a type is this kind or nothing, with or without bounds."""
    plain = {_unbound(one) for one in _alternatives(_unbound(type_))} - {type(None)}
    return plain == {kind}


def _unbound(type_: Any) -> Any:
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


@cache
def _names(struct: type[msgspec.Struct]) -> dict[str, Any]:
    return {one.encode_name.lower(): one for one in msgspec.structs.fields(struct)}


def _struct_of(type_: Any, value: Any = None) -> type[msgspec.Struct] | None:
    """Give the struct that a type is or may be; of a union of several the one whose tag the value has."""
    found = [one for one in _alternatives(type_) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    if len(found) == 1:
        return found[0]
    for one in found:
        config = one.__struct_config__
        if config.tag is not None and isinstance(value, dict):
            tag = cast("dict[str, Any]", value).get(config.tag_field or "type")
            if tag == config.tag:
                return one
    return None


def _item_type(type_: Any) -> Any:
    for one in _alternatives(type_):
        if get_origin(one) in {list, tuple, Sequence}:
            return get_args(one)[0]
    return None


def _alternatives(type_: Any) -> tuple[Any, ...]:
    return get_args(type_) if get_origin(type_) in {Union, UnionType} else (type_,)


def decode_all(value: Any, into: type[T], *, strict: bool) -> T:
    """Read as `decode`, and on refusal name everything that is wrong.

    Raises:
        InvalidRequest: with `problems`, of which the first is also its own code and param.
    """
    try:
        return decode(value, into, strict=strict)
    except InvalidRequest:
        problems = _problems(value, into, "", strict=strict)
        if not problems:
            raise
    head = problems[0]
    raise InvalidRequest(head.code, param=head.param, detail=head.detail, problems=problems)


def _problems(value: Any, into: Any, path: str, *, strict: bool) -> list[Problem]:
    """Look at each member by itself; where a struct lies deeper, at its members."""
    struct = _struct_of(into, value)
    if struct is None or not isinstance(value, dict):
        return _items(value, into, path, strict=strict)
    members = cast("dict[str, Any]", value)
    found: list[Problem] = []
    for field in msgspec.structs.fields(struct):
        place = _join(path, field.encode_name)
        if field.encode_name not in members:
            if field.required:
                found.append(Problem(ErrorCode.PARAMETER_MISSING, place))
            continue
        found += _member(members[field.encode_name], field.type, place, strict=strict)
    return found or _whole(value, into, path, strict=strict)


def _member(value: Any, type_: Any, place: str, *, strict: bool) -> list[Problem]:
    if not _whole(value, type_, place, strict=strict):
        return []
    return _problems(value, type_, place, strict=strict)


def _items(value: Any, into: Any, path: str, *, strict: bool) -> list[Problem]:
    item_type = _item_type(into)
    if item_type is None or not isinstance(value, list):
        return _whole(value, into, path, strict=strict)
    found: list[Problem] = []
    for number, item in enumerate(cast("list[Any]", value)):
        found += _member(item, item_type, f"{path}[{number}]", strict=strict)
    return found or _whole(value, into, path, strict=strict)


def _whole(value: Any, into: Any, path: str, *, strict: bool) -> list[Problem]:
    try:
        decode(value, into, strict=strict)
    except InvalidRequest as refusal:
        detail = None if refusal.message == MESSAGES[refusal.code] else refusal.message
        return [Problem(refusal.code, _join(path, refusal.param or ""), detail)]
    return []


_encoder = msgspec.json.Encoder()
_canonical_encoder = msgspec.json.Encoder(order="deterministic")
encode = _encoder.encode
canonical = _canonical_encoder.encode
"""Encode plain values with sorted keys, so that a repeated request is recognised however it was written."""
