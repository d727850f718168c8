"""JSON Patch (RFC 6902) as the API applies it: leniently where parents are missing, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeVar, cast

from jsonpath import JSONPatch, JSONPointer
from jsonpath.exceptions import JSONPatchError, JSONPatchTestFailure, JSONPointerError

from farebox.dialects.codec import decode
from farebox.dialects.payroc.wire.common import PatchOperation
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest

T = TypeVar("T")
OPERATIONS_MAX = 100


def patched(
    document: Mapping[str, Any],
    operations: Sequence[PatchOperation],
    into: type[T],
    *,
    fixed: Sequence[str] = (),
) -> T:
    """Apply a patch and read what came of it.

    Args:
        document: the thing as its answer shows it.
        operations: the patch.
        into: the struct of what may be changed; other members may be patched without effect.
        fixed: pointers of members that may not be changed, their own members included.

    Raises:
        InvalidRequest: a fixed member, a pointer to nothing, or a result that is none.
        Conflict: `document_state_conflict` when a `test` fails.
    """
    if len(operations) > OPERATIONS_MAX:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID)
    result: Any = deepcopy(dict(document))
    for number, operation in enumerate(operations):
        _check_free(operation, number, fixed)
        result = _applied(result, operation, number)
    return decode(result, into)


def _check_free(operation: PatchOperation, number: int, fixed: Sequence[str]) -> None:
    if operation.op == "test":
        return
    touched = [operation.path] if operation.op != "move" else [operation.path, operation.from_ or ""]
    for pointer in touched:
        for path in fixed:
            # A parent of a fixed member takes it along.
            if pointer == path or pointer.startswith(path + "/") or path.startswith(pointer + "/"):
                raise InvalidRequest(
                    ErrorCode.PARAMETER_INVALID,
                    param=f"[{number}].path",
                    detail="This cannot be changed.",
                )


def _applied(document: Any, operation: PatchOperation, number: int) -> Any:
    try:
        if operation.op == "add":
            _make_parents(document, operation.path)
        return JSONPatch([_plain(operation)]).apply(document)
    except JSONPatchTestFailure:
        raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT, param=f"[{number}]") from None
    except (JSONPatchError, JSONPointerError):
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param=f"[{number}].path") from None


def _plain(operation: PatchOperation) -> dict[str, object]:
    plain: dict[str, object] = {"op": operation.op, "path": operation.path}
    if operation.op in {"add", "replace", "test"}:
        plain["value"] = operation.value
    if operation.from_ is not None:
        plain["from"] = operation.from_
    return plain


def _make_parents(document: Any, path: str) -> None:
    """Make the objects above a member that is added."""
    here: Any = document
    for part in JSONPointer(path).parts[:-1]:
        if not isinstance(here, dict):
            return
        members = cast("dict[str, Any]", here)
        if members.get(str(part)) is None:
            members[str(part)] = {}
        here = members[str(part)]
