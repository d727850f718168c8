"""Paysafe's tables: total where they must be, and of the documented shape."""

from __future__ import annotations

import pytest

from farebox.dialects.dialect import Answer, Refusal
from farebox.dialects.paysafe.declaration import PAYSAFE
from farebox.dialects.paysafe.errors import CODES, ERRORS, write_error
from farebox.dialects.paysafe.tables import AVS, BRANDS, CVV, DECLINES
from farebox.domain.card_brands import brand_table
from farebox.domain.checks import AvsResult, CvcResult
from farebox.domain.declines import DeclineReason
from farebox.domain.errors import MESSAGES, ErrorCode
from farebox.domain.ids import RequestId


def test_every_word_of_ours_has_one_of_theirs() -> None:
    """A new error, decline or check result without a translation fails here."""
    assert set(ERRORS) == set(ErrorCode)
    assert set(DECLINES) == set(DeclineReason)
    assert (set(AVS), set(CVV)) == (set(AvsResult), set(CvcResult))
    assert set(DECLINES.values()) <= set(CODES)
    assert set(BRANDS) <= set(brand_table().brands)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_refusal_before_there_is_a_request(code: ErrorCode) -> None:
    """Every SDK needs an object with a code of digits and a message; C# parses the code as a number."""
    refusal = Refusal(code, MESSAGES[code], None, None, RequestId("req_1"), ERRORS[code])
    answer = write_error(refusal)
    assert isinstance(answer, Answer)
    error = answer.body["error"]
    assert error["code"].isdigit()
    assert error["message"]
    assert (b"x-application-status-code", error["code"].encode()) in answer.headers
    assert answer.status is not None
    assert answer.status >= 400


def test_only_what_a_browser_may_do_is_open_to_its_key() -> None:
    """No endpoint asks for no credential but monitors and the sandbox's issuer."""
    open_ = {route.path for route in PAYSAFE.routes if route.authentication is not None}
    assert open_ == {
        *(f"/{api}/monitor" for api in ("cardpayments", "customervault", "directdebit", "threedsecure")),
        "/accountmanagement/monitor",
        "/threedsecure/v1/acs",
        "/threedsecure/v2/acs",
    }
