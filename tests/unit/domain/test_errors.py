"""The taxonomy: closed, total, and silent about input."""

from __future__ import annotations

import pytest

from farebox.domain.cards import contains_pan
from farebox.domain.errors import (
    MESSAGES,
    Conflict,
    ErrorCode,
    FareboxError,
    Forbidden,
    InvalidRequest,
    LimitExceeded,
    NotFound,
    Unauthenticated,
    Unavailable,
)


def test_every_code_has_its_message() -> None:
    """The table is total: a new code without a message fails here."""
    assert set(MESSAGES) == set(ErrorCode)


@pytest.mark.parametrize("code", ErrorCode)
def test_a_code_is_a_stable_word_and_its_message_a_sentence(code: ErrorCode) -> None:
    """Programs read the code, people the message; neither has room for input."""
    assert code.value == code.name.lower()
    message = MESSAGES[code]
    assert message.endswith(".")
    assert message[0].isupper()
    assert "{" not in message
    assert "%" not in message
    assert not contains_pan(message)


def test_messages_are_distinct() -> None:
    """Two codes with one message would be one code for a person."""
    assert len(set(MESSAGES.values())) == len(MESSAGES)


@pytest.mark.parametrize(
    "kind", [InvalidRequest, Unauthenticated, Forbidden, NotFound, Conflict, LimitExceeded, Unavailable]
)
def test_an_error_says_code_field_and_when(kind: type[FareboxError]) -> None:
    """What `str` gives is the code alone, so that no log line gets more."""
    error = kind(ErrorCode.RATE_LIMITED, param="card.number", retry_after_s=2)
    assert isinstance(error, FareboxError)
    assert (error.code, error.param, error.retry_after_s) == (ErrorCode.RATE_LIMITED, "card.number", 2)
    assert error.message == MESSAGES[ErrorCode.RATE_LIMITED]
    assert str(error) == "rate_limited"
    assert error.args == ("rate_limited",)


def test_a_detail_replaces_the_message() -> None:
    """Where we know more than the code says, we say it in words of ours."""
    error = InvalidRequest(ErrorCode.PARAMETER_INVALID, detail="Two of these exclude each other.")
    assert error.message == "Two of these exclude each other."
