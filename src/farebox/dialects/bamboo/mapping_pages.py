"""The sandbox's pages: where a tester plays the payer of an alternative medium.

One page for every family of media. It needs no script: a form says what the payer does, and the answer holds
a form that brings the browser back to the shop, as the gateway's redirect does.

Source: documentation, "Redirect purchases": the return is a form POST of `PurchaseId` and `Status`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farebox.dialects.bamboo import wire
from farebox.dialects.bamboo.errors import refusal
from farebox.dialects.bamboo.presenting import (
    APPROVED,
    CANCELLED_STATE,
    PENDING,
    PRE_AUTHORIZED,
    REJECTED,
    State,
    digits_of,
    expires_at,
    medium_of_payment,
    metadata_out,
    state_of,
)
from farebox.dialects.bamboo.values import PLAIN, hundredths_of, object_of
from farebox.dialects.dialect import Answer, Call, PageView
from farebox.domain.declines import DeclineReason
from farebox.domain.ids import PaymentId
from farebox.services.commands import Command, DecidePending, GetPayment, PaymentView

_DECISIONS: dict[str, DeclineReason | None] = {
    "approve": None,
    "reject": DeclineReason.DO_NOT_HONOR,
    "cancel": DeclineReason.CANCELLED_BY_PAYER,
    "expire": DeclineReason.NOT_PAID_IN_TIME,
}
_RETURNS: dict[State, tuple[str, str]] = {
    APPROVED: ("Url_Approved", "approved"),
    PRE_AUTHORIZED: ("Url_Approved", "approved"),
    REJECTED: ("Url_Rejected", "rejected"),
    CANCELLED_STATE: ("Url_Canceled", "canceled"),
    PENDING: ("Url_Pending", "pending"),
}
"""Where the browser goes back to, and the word it brings along, in lower case as the sample's."""


class DecisionIn(wire.Request, frozen=True, kw_only=True):
    """What the payer does."""

    decision: str = msgspec.field(name="decision", default="")


def read_page(call: Call[wire.Nothing, wire.Nothing]) -> Command[PaymentView]:
    """Read whose page to show: the visitor's own payment's."""
    return GetPayment(PaymentId(call.principal.attribute("payment_id")))


def read_decision(call: Call[DecisionIn, wire.Nothing]) -> Command[PaymentView]:
    """Read what the payer does.

    Raises:
        WireRefusal: `TR016` for a decision that there is none of.
    """
    if call.body.decision not in _DECISIONS:
        raise refusal("TR016")
    return DecidePending(PaymentId(call.principal.attribute("payment_id")), _DECISIONS[call.body.decision])


def write_page(view: PaymentView, call: Call[Any, wire.Nothing]) -> Answer:
    """Draw the page of the payment's family, as the payment stands."""
    payment = view.payment
    state = state_of(payment)
    _, medium = medium_of_payment(payment)
    shown = metadata_out(payment, call) or {}
    ends_at = expires_at(payment)
    url_name, word = _RETURNS[state]
    code = digits_of(payment, 20)
    return Answer(
        page=PageView(
            "sandbox_payer",
            {
                "method": medium.name if medium else "Payment link",
                "family": payment.summary.account_type or "",
                "amount": f"{hundredths_of(payment.amount_minor, payment.currency) / 100:.2f}",
                "currency": payment.currency,
                "order": payment.reference or "",
                "ends_at": ends_at.strftime("%Y-%m-%d %H:%M UTC") if ends_at else "",
                "is_pending": state is PENDING,
                "state": state.word,
                "shown": {
                    name: str(value)
                    for name, value in shown.items()
                    if value is not None and not str(value).startswith("http")
                },
                "bars": barcode(code),
                "url": call.url,
                "return_url": object_of(payment.facts, "redirection").get(url_name) or "",
                "purchase_id": PLAIN.number_of(payment.id),
                "status": word,
            },
        )
    )


_WIDE = ("nnwwn", "wnnnw", "nwnnw", "wwnnn", "nnwnw", "wnwnn", "nwwnn", "nnnww", "wnnwn", "nwnwn")


def barcode(digits: str) -> tuple[tuple[int, int], ...]:
    """Draw digits as interleaved 2 of 5: place and width of every bar, in modules.

    Source: ISO/IEC 16390:2007 §4: of each pair of digits the first is in the bars, the second in the spaces.
    """
    digits = digits if len(digits) % 2 == 0 else f"0{digits}"
    pairs = [(_WIDE[int(a)], _WIDE[int(b)]) for a, b in zip(digits[::2], digits[1::2], strict=True)]
    middle = [mark for bars, spaces in pairs for both in zip(bars, spaces, strict=True) for mark in both]
    marks = ["n", "n", "n", "n", *middle, "w", "n", "n"]
    bars: list[tuple[int, int]] = []
    place = 0
    for number, mark in enumerate(marks):
        width = 3 if mark == "w" else 1
        if number % 2 == 0:
            bars.append((place, width))
        place += width
    return tuple(bars)
