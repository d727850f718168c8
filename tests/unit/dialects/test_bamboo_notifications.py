"""What Bamboo's notifications promise: when they are sent again, what counts, what is signed."""

from __future__ import annotations

from datetime import UTC, datetime

from farebox.dialects.bamboo.notifications import TERMS, date_sent, signature
from farebox.domain.webhooks import AttemptResult, judge


def test_five_retries_as_the_table_says() -> None:
    """15 and 30 minutes, 1, 3 and 6 hours, each from the attempt before; then never again."""
    waits = [TERMS.retries.delay_s(tries, 1.0) for tries in range(1, 7)]
    assert waits == [900, 1800, 3600, 10_800, 21_600, None]


def test_only_200_counts() -> None:
    """Another success is no delivery, and nothing a receiver says disables it."""
    assert judge(TERMS, 200) is AttemptResult.DELIVERED
    for status in (201, 204, 302, 400, 410, 500):
        assert judge(TERMS, status) is AttemptResult.WRONG_STATUS


def test_the_signature_is_over_four_values_without_separators() -> None:
    """HMAC-SHA256 in lower-case hexadecimal; computed once with OpenSSL."""
    at = date_sent(datetime(2024, 5, 6, 10, 20, 30, 123_000, tzinfo=UTC))
    assert at == "2024-05-06T10:20:30.123"
    assert signature("secret", 700321, 259900, "UYU", at) == (
        "d06031dac89ae50a46b2a3013fb2911fcc9676f926f76401b5c9e4dc2fb64037"
    )
