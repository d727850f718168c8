"""The native API's table of refusals."""

from __future__ import annotations

import re

import msgspec
import pytest

from farebox.dialects.dialect import Refusal
from farebox.dialects.native.errors import ERRORS, write_error
from farebox.domain.errors import MESSAGES, ErrorCode
from farebox.domain.ids import RequestId


def problem(code: ErrorCode, *, param: str | None = None) -> dict[str, object]:
    refusal = Refusal(code, MESSAGES[code], param, None, RequestId("req_1"), ERRORS[code])
    return msgspec.to_builtins(write_error(refusal))


def test_every_code_has_its_status() -> None:
    """The table is total: a new code without a status fails here."""
    assert set(ERRORS) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_refusal_is_problem_details(code: ErrorCode) -> None:
    """RFC 9457 §3.1, with our members `code`, `param`, `request_id` and `doc_url`."""
    assert problem(code, param="card.number") == {
        "type": f"urn:farebox:error:{code.value}",
        "title": ERRORS[code].title,
        "status": ERRORS[code].status,
        "detail": MESSAGES[code],
        "code": code.value,
        "request_id": "req_1",
        "doc_url": f"/docs#error-{code.value}",
        "param": "card.number",
    }
    assert "param" not in problem(code)


def test_only_what_is_ours_is_a_5xx() -> None:
    """A caller's mistake is never an alarm of ours, and the other way round."""
    ours = {code.value for code, wire in ERRORS.items() if wire.status >= 500}
    assert ours == {
        "processor_unreachable",
        "storage_busy",
        "commit_unknown",
        "vault_sealed",
        "shutting_down",
        "internal_error",
        "configuration_invalid",
    }
    assert all(400 <= wire.status < 600 for wire in ERRORS.values())


@pytest.mark.parametrize(
    ("pattern", "status"),
    [
        (r".*_not_found", 404),
        (r"api_key_(missing|invalid)", 401),
        (r"scope_missing|mode_mismatch", 403),
        (r"token_(already_consumed|in_flight|expired|revoked|class_mismatch)", 409),
        (r"rate_limited|card_probing_refused", 429),
        (r"body_too_large", 413),
        (r"uri_too_long", 414),
        (r"media_type_unsupported", 415),
        (r"method_not_allowed", 405),
        (r"body_malformed|parameter_(invalid|missing|unknown)", 400),
        (r"card_.*(?<!refused)|bank_.*|amount_.*", 422),
    ],
)
def test_kinds_of_codes_share_a_status(pattern: str, status: int) -> None:
    """What programs outside branch on first."""
    codes = [code for code in ErrorCode if re.fullmatch(pattern, code.value)]
    assert codes
    assert {ERRORS[code].status for code in codes} == {status}
