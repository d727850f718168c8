"""Declines: every reason has advice, and codes translate without losing the raw one."""

from __future__ import annotations

import pytest

from farebox.domain.declines import (
    ADVICE,
    ISO8583_RESPONSE_CODES,
    Advice,
    Decline,
    DeclineReason,
    decline_for,
    decline_for_iso8583,
    is_soft,
)


def test_every_reason_has_advice_and_all_advice_is_used() -> None:
    """The table is total: a new reason without advice fails here."""
    assert set(ADVICE) == set(DeclineReason)
    assert set(ADVICE.values()) == set(Advice)


@pytest.mark.parametrize(
    ("reason", "soft"),
    [
        (DeclineReason.INSUFFICIENT_FUNDS, True),
        (DeclineReason.INCORRECT_CVC, True),
        (DeclineReason.ISSUER_UNAVAILABLE, True),
        (DeclineReason.AUTHENTICATION_REQUIRED, True),
        (DeclineReason.LOST_CARD, False),
        (DeclineReason.STOLEN_CARD, False),
        (DeclineReason.SUSPECTED_FRAUD, False),
        (DeclineReason.CLOSED_ACCOUNT, False),
        (DeclineReason.STOP_RECURRING, False),
        (DeclineReason.EXPIRED_CARD, False),
        (DeclineReason.DO_NOT_HONOR, False),
        (DeclineReason.OTHER, False),
    ],
)
def test_soft_means_the_same_instrument_may_still_succeed(reason: DeclineReason, *, soft: bool) -> None:
    """A token is given back after a soft decline only; lost and stolen cards never are."""
    assert is_soft(reason) is soft


@pytest.mark.parametrize(
    "reason",
    [
        DeclineReason.LOST_CARD,
        DeclineReason.STOLEN_CARD,
        DeclineReason.PICKUP_CARD,
        DeclineReason.CLOSED_ACCOUNT,
        DeclineReason.NO_ACCOUNT,
        DeclineReason.STOP_PAYMENT,
        DeclineReason.STOP_RECURRING,
    ],
)
def test_what_the_networks_forbid_to_retry_is_not_advised(reason: DeclineReason) -> None:
    """Networks fine merchants who retry these."""
    assert ADVICE[reason] is Advice.DO_NOT_RETRY


def test_a_decline_carries_its_advice_and_the_raw_code() -> None:
    """The reason decides the advice; the processor's own words stay beside it."""
    assert decline_for(DeclineReason.EXPIRED_CARD, "54", "Expired card") == Decline(
        DeclineReason.EXPIRED_CARD, Advice.TRY_ANOTHER_INSTRUMENT, "54", "Expired card"
    )
    assert decline_for(DeclineReason.OTHER).processor_code is None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("05", DeclineReason.DO_NOT_HONOR),
        ("14", DeclineReason.INCORRECT_NUMBER),
        ("41", DeclineReason.LOST_CARD),
        ("43", DeclineReason.STOLEN_CARD),
        ("51", DeclineReason.INSUFFICIENT_FUNDS),
        ("54", DeclineReason.EXPIRED_CARD),
        ("1A", DeclineReason.AUTHENTICATION_REQUIRED),
        ("N7", DeclineReason.INCORRECT_CVC),
        ("R1", DeclineReason.STOP_RECURRING),
        ("ZZ", DeclineReason.OTHER),
        ("", DeclineReason.OTHER),
    ],
)
def test_response_codes_translate_and_are_kept(code: str, reason: DeclineReason) -> None:
    """SEC-22: an unlisted code is a decline of reason `other` with the raw code."""
    decline = decline_for_iso8583(code)
    assert (decline.reason, decline.processor_code) == (reason, code)


@pytest.mark.parametrize("code", ["00", "08", "10", "11", "85"])
def test_approvals_are_not_in_the_table_of_declines(code: str) -> None:
    """A code that approves must never be read as a reason for a decline."""
    assert code not in ISO8583_RESPONSE_CODES
