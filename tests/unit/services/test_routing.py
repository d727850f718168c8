"""Which processor takes a payment, and which must not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from farebox.adapters.processors.sandbox import SandboxProcessor
from farebox.adapters.system import SystemClock
from farebox.domain.access import Mode, Tenant
from farebox.domain.errors import ErrorCode, Forbidden, InvalidRequest
from farebox.domain.ids import MerchantAccountId, MerchantId
from farebox.domain.merchants import MerchantAccount
from farebox.services.routing import Routing


class OneAccount:
    """Implements the one read that routing makes."""

    def __init__(self, tenant: Tenant, **changes: Any) -> None:
        self.account = MerchantAccount(
            id=MerchantAccountId("ma_1"),
            tenant=tenant,
            processor="sandbox",
            created_at=datetime(2026, 11, 24, tzinfo=UTC),
            **changes,
        )

    async def read(self, work: Callable[[Any], Awaitable[Any]]) -> list[MerchantAccount]:
        return [self.account]


async def route(mode: Mode, currency: str = "USD", **changes: Any) -> str:
    tenant = Tenant(MerchantId("mer_1"), mode)
    sandbox = SandboxProcessor(None, clock=SystemClock())
    storage: Any = OneAccount(tenant, **changes)
    try:
        return (await Routing({"sandbox": sandbox}, storage, SystemClock()).route(tenant, currency)).name
    finally:
        await sandbox.close()


async def test_the_sandbox_takes_no_live_payment() -> None:
    """Its approvals are not money: a live merchant whose account names it is refused."""
    assert await route(Mode.TEST) == "sandbox"
    with pytest.raises(Forbidden) as refusal:
        await route(Mode.LIVE)
    assert refusal.value.code is ErrorCode.MODE_MISMATCH


async def test_an_account_takes_its_currencies() -> None:
    """An account without currencies takes all, another one its own."""
    assert await route(Mode.TEST, "JPY", currencies=frozenset({"JPY"})) == "sandbox"
    with pytest.raises(InvalidRequest) as refusal:
        await route(Mode.TEST, "USD", currencies=frozenset({"JPY"}))
    assert refusal.value.code is ErrorCode.CURRENCY_UNSUPPORTED
