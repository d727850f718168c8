"""What the native API reads and answers about checkout sessions, field by field."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta

from farebox.dialects.native.wire import Answer, CardOut, Metadata, PageQuery, Request, ShortText, Text

Url = Annotated[str, Meta(max_length=2048)]
SessionStatus = Literal["open", "locked", "paying", "completed", "failed", "cancelled", "expired"]


class LineIn(Request, frozen=True, kw_only=True):
    """A line of the order as the buyer sees it."""

    description: Text
    amount_minor: int
    """The line's total, taxes and discounts counted; a discount of its own is negative."""
    quantity: Annotated[str, Meta(pattern=r"^[0-9]{1,6}(\.[0-9]{1,3})?$")] = "1"
    """A decimal number, as a text."""
    reference: ShortText | None = None
    tax_minor: int | None = None


class MethodIn(Request, frozen=True, kw_only=True):
    """A way to pay that the merchant runs: a button that leads to `url`."""

    name: ShortText
    label: Annotated[str, Meta(min_length=1, max_length=64)]
    url: Url


class CheckoutSessionIn(Request, frozen=True, kw_only=True):
    """An order to be paid on a page of Farebox.

    Lines, where given, add up to `amount_minor`. An amount of zero stores a card without taking money; then
    `save` is given. `payment_token` is a stored card that the buyer confirms with its security code.
    """

    amount_minor: Annotated[int, Meta(ge=0)]
    currency: str
    return_url: Url
    cancel_url: Url | None = None
    terms_url: Url | None = None
    capture: bool = True
    lines: Annotated[tuple[LineIn, ...], Meta(max_length=100)] = ()
    reference: Text | None = None
    customer: str | None = None
    payment_token: str | None = None
    save: Literal["payment_token", "recurrence_token"] | None = None
    save_choice: Literal["always", "opt_in", "opt_out"] = "opt_in"
    """Who decides: the order, or the buyer by a box that starts unticked or ticked."""
    other_methods: Annotated[tuple[MethodIn, ...], Meta(max_length=8)] = ()
    locale: Annotated[str, Meta(pattern="^[A-Za-z]{2,3}([-_][A-Za-z]{2,4})?$")] | None = None
    expires_in_s: Annotated[int, Meta(ge=60, le=7_776_000)] | None = None
    """A day when left out."""
    metadata: Metadata | None = None


class LineOut(Answer, frozen=True, kw_only=True):
    """A line of the order."""

    description: str
    amount_minor: int
    quantity: str
    reference: str | None
    tax_minor: int | None


class AttemptOut(Answer, frozen=True, kw_only=True):
    """Something that happened to a session."""

    event: str
    at: datetime
    payment: str | None


class CheckoutSessionOut(Answer, frozen=True, kw_only=True):
    """A checkout session.

    `url` opens the buyer's page and is a secret; it is there only in the answer that made the session.
    `payment` is the latest attempt's; `payment_token` and `recurrence_token` are what it stored.
    """

    object: Literal["checkout_session"] = "checkout_session"
    id: str
    status: SessionStatus
    mode: Literal["test", "live"]
    url: str | None
    amount_minor: int
    currency: str
    capture: bool
    lines: list[LineOut]
    created_at: datetime
    expires_at: datetime
    reference: str | None
    customer: str | None
    return_url: str | None
    cancel_url: str | None
    stored_card: CardOut | None
    payment: str | None
    attempts: int
    payment_token: str | None
    recurrence_token: str | None
    history: list[AttemptOut]
    metadata: Metadata


class CheckoutSessionQuery(PageQuery, frozen=True, kw_only=True):
    """Which sessions to list."""

    status: SessionStatus | None = None
    reference: str | None = None
    customer: str | None = None
    payment: str | None = None


class CheckoutSessionListOut(Answer, frozen=True, kw_only=True):
    """Checkout sessions, newest first."""

    object: Literal["list"] = "list"
    data: list[CheckoutSessionOut]
    has_more: bool
    next_url: str | None
