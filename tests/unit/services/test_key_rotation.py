"""Tenant keys rotate in a job that may be stopped anywhere and started again."""

from __future__ import annotations

from pathlib import Path

import pytest

from farebox.bootstrap import Services, init, open_services
from farebox.config.load import load
from farebox.dialects.native.declaration import NATIVE
from farebox.domain.access import SCOPES_OF_KIND, ApiKeyKind, Mode, Principal, Tenant
from farebox.domain.cards import Card, parse_expiry, parse_pan
from farebox.domain.ids import ApiKeyId, RequestId
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import TokenString
from farebox.services import key_rotation
from farebox.services.commands import Context, FromInstrument, FromStoredToken, Pay, StoreCredential

CARD = Card(parse_pan(Sensitive("4242424242424242")), parse_expiry(12, 2034))
STORED = 5


class Stopped(Exception):
    """Somebody stops the job."""


class Shop:
    """A merchant with credentials stored."""

    def __init__(self, services: Services, tenant: Tenant) -> None:
        self.services, self.tenant = services, tenant
        scopes = SCOPES_OF_KIND[ApiKeyKind.SECRET]
        principal = Principal(tenant, ApiKeyId("key_1"), ApiKeyKind.SECRET, scopes, "native")
        self.context = Context(principal, "native", NATIVE.tokens, RequestId("req_1"), lambda view: b"")

    async def store(self) -> TokenString:
        execute = self.services.use_cases.application.execute
        done = await execute(StoreCredential(FromInstrument(CARD)), self.context)
        return done.result.string

    async def pay(self, token: TokenString) -> int:
        command = Pay(OperationKind.PURCHASE, Money(100, "USD"), FromStoredToken(token))
        done = await self.services.use_cases.application.execute(command, self.context)
        return done.result.payment.captured_minor

    async def rows(self) -> list[int]:
        """Count what each tenant key wraps, the oldest key first."""
        found = [
            row for row in await self.services.crypto.inventory() if row.merchant == self.tenant.merchant_id
        ]
        return [row.rows for row in found if row.kind == "tenant"]


async def test_a_rotation_that_was_stopped_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Section 3.4: batches, compare-and-set on the old wrap, and every credential pays all the while."""
    monkeypatch.setattr(key_rotation, "BATCH_ROWS", 2)
    monkeypatch.setattr(key_rotation, "SERVERS_LEARN_WITHIN_S", 0.0)
    settings = load({"data_dir": str(tmp_path / "data")}, {})
    await init(settings)
    async with open_services(settings) as services:
        merchant, _ = await services.merchants.create("Shop", Mode.TEST)
        shop = Shop(services, merchant.tenant)
        tokens = [await shop.store() for _ in range(STORED)]

        def stop(tenant: Tenant, done: int) -> None:
            raise Stopped

        with pytest.raises(Stopped):
            await services.key_rotation.rotate([merchant.tenant], stop)
        assert await shop.rows() == [STORED - 2, 2]
        tokens.append(await shop.store())
        assert await shop.rows() == [STORED - 2, 3]
        seen: list[int] = []
        assert await services.key_rotation.rewrap(merchant.tenant, seen.append) == STORED - 2
        assert seen == [2, 3]
        assert await shop.rows() == [0, STORED + 1]
        assert await services.key_rotation.rewrap(merchant.tenant, seen.append) == 0
        assert [await shop.pay(token) for token in tokens] == [100] * (STORED + 1)
