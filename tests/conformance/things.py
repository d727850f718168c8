"""Rows to store: small, valid, different from one another."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from farebox.domain.access import Mode, Tenant
from farebox.domain.events import Event, EventType
from farebox.domain.ids import (
    EventId,
    MerchantId,
    OperationId,
    PaymentId,
    SingleUseTokenId,
    StoredTokenId,
)
from farebox.domain.instruments import InstrumentKind, InstrumentSummary
from farebox.domain.merchants import Merchant
from farebox.domain.money import Money
from farebox.domain.operations import Operation, OperationKind, OperationState
from farebox.domain.payments import Payment
from farebox.domain.tokens import (
    SealedReusable,
    SealedSingleUse,
    SingleUseToken,
    StoredToken,
    StoredTokenKind,
    StoredTokenState,
    TokenState,
)

_numbers = itertools.count(1)
TENANT = Tenant(MerchantId("mer_1"), Mode.TEST)
STRANGER = Tenant(MerchantId("mer_2"), Mode.TEST)
SUMMARY = InstrumentSummary(kind=InstrumentKind.CARD, last_four="4242", brand="visa", bin="424242")
SEALED = SealedSingleUse(bucket_minute=1, payload=b"payload", details=b"details", cvc=b"cvc")


def now() -> datetime:
    return datetime.now(UTC)  # noqa: TID251  # rows of a real database need the real time


def merchant(tenant: Tenant = TENANT) -> Merchant:
    return Merchant(id=tenant.merchant_id, mode=tenant.mode, name="Shop", created_at=now())


def single_use_token(*, lives: timedelta = timedelta(minutes=10), **changes: Any) -> SingleUseToken:
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": SingleUseTokenId(f"tok_{number:026}"),
        "tenant": TENANT,
        "token_mac": os.urandom(32),
        "state": TokenState.MINTED,
        "summary": SUMMARY,
        "fingerprint": os.urandom(32),
        "created_at": now(),
        "expires_at": now() + lives,
        "dialect": "native",
        "sealed": SEALED,
    }
    return SingleUseToken(**{**values, **changes})


def stored_token(*, wrapped_by: bytes = b"key-0001", **changes: Any) -> StoredToken:
    """A payment token whose record key is wrapped by the key of this id; 8 bytes."""
    # A ciphertext's header: the suite, then the key.
    wrapped_key = b"\x01" + wrapped_by + b"wrapped"
    values: dict[str, Any] = {
        "id": StoredTokenId(f"pt_{next(_numbers):026}"),
        "tenant": TENANT,
        "kind": StoredTokenKind.PAYMENT_TOKEN,
        "token_mac": os.urandom(32),
        "state": StoredTokenState.ACTIVE,
        "summary": SUMMARY,
        "fingerprint": os.urandom(32),
        "created_at": now(),
        "dialect": "native",
        "sealed": SealedReusable(wrapped_key, b"payload", b"details"),
    }
    return StoredToken(**{**values, **changes})


def event(number: int, tenant: Tenant) -> Event:
    """An event whose id grows with the number."""
    return Event(
        id=EventId(f"evt_{number:026}"),
        tenant=tenant,
        type=EventType.SINGLE_USE_TOKEN_MINTED,
        object_id="tok_1",
        sequence=1,
        created_at=now(),
        data={},
    )


def payment(**changes: Any) -> Payment:
    values: dict[str, Any] = {
        "id": PaymentId(f"pay_{next(_numbers):026}"),
        "tenant": TENANT,
        "kind": OperationKind.AUTHORIZATION,
        "state": OperationState.SUBMITTED,
        "amount_minor": 1000,
        "currency": "USD",
        "created_at": now(),
        "summary": SUMMARY,
        "dialect": "native",
        "processor": "sandbox",
    }
    return Payment(**{**values, **changes})


def operation(of: Payment, **changes: Any) -> Operation:
    number = next(_numbers)
    values: dict[str, Any] = {
        "id": OperationId(f"op_{number:026}"),
        "tenant": of.tenant,
        "payment_id": of.id,
        "kind": of.kind,
        "money": Money(1000, "USD"),
        "state": OperationState.SUBMITTED,
        "created_at": now(),
        "send_by": now() + timedelta(seconds=2),
        "processor": "sandbox",
        "processor_reference": f"ref_{number}",
        "next_attempt_at": now() + timedelta(seconds=20),
    }
    return Operation(**{**values, **changes})
