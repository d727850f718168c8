"""What may not begin while the database does not keep what it confirms, and what may."""

from __future__ import annotations

from pathlib import Path

import pytest

from farebox.bootstrap import init, jobs, open_services
from farebox.config.load import load
from farebox.dialects.native.declaration import NATIVE
from farebox.domain.access import SCOPES_OF_KIND, ApiKeyKind, Mode, Principal
from farebox.domain.cards import Card, parse_expiry, parse_pan
from farebox.domain.errors import Unavailable
from farebox.domain.ids import ApiKeyId, PaymentId, RequestId
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import StoredTokenKind
from farebox.services.commands import (
    Command,
    Context,
    FollowUp,
    FromSingleUseToken,
    LookAtSingleUseToken,
    MintSingleUseToken,
    Pay,
    StoreCredential,
)

CARD = Card(parse_pan(Sensitive("4242424242424242")), parse_expiry(12, 2034))


async def test_nothing_is_spent_on_a_database_that_forgets(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Section 4.4: payments, follow-ups and storing stop; the token is not touched, and pays afterwards."""
    settings = load({"data_dir": str(tmp_path / "data")}, {})
    await init(settings)
    async with open_services(settings) as services:
        merchant, _ = await services.merchants.create("Shop", Mode.TEST)
        principal = Principal(
            merchant.tenant,
            ApiKeyId("key_1"),
            ApiKeyKind.SECRET,
            SCOPES_OF_KIND[ApiKeyKind.SECRET],
            "native",
        )

        async def run(command: Command[object]) -> object:
            context = Context(principal, "native", NATIVE.tokens, RequestId("req_1"), lambda view: b"")
            return await services.use_cases.application.execute(command, context)

        minted = await run(MintSingleUseToken(CARD))
        source = FromSingleUseToken(minted.result.string)
        pay = Pay(OperationKind.PURCHASE, Money(100, "USD"), source)
        look = {job.name: job.run for job in jobs(services)}["durability"]
        services.storage._writer.execute("PRAGMA synchronous = NORMAL")
        await look()
        (line,) = [record for record in caplog.records if "nothing is spent" in record.message]
        assert (line.levelname, line.why) == ("CRITICAL", "synchronous is not FULL")
        for command in (
            pay,
            FollowUp(PaymentId("pay_1"), OperationKind.REFUND),
            StoreCredential(source, StoredTokenKind.PAYMENT_TOKEN),
        ):
            with pytest.raises(Unavailable):
                await run(command)
        assert (await run(LookAtSingleUseToken(source.token))).result.token.state == "minted"
        services.storage._writer.execute("PRAGMA synchronous = FULL")
        await look()
        assert (await run(pay)).result.payment.captured_minor == 100


async def test_a_demo_is_not_stopped_by_what_it_started_in_spite_of(tmp_path: Path) -> None:
    """`--insecure-demo` has said what it ignores."""
    settings = load({"data_dir": str(tmp_path / "data"), "insecure_demo": True}, {})
    await init(settings)
    async with open_services(settings) as services:
        assert "durability" not in {job.name for job in jobs(services)}
