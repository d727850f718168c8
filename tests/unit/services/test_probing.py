"""Nobody finds the middle digits of a live card by tokenizing candidates."""

from __future__ import annotations

from pathlib import Path

import pytest

from farebox.bootstrap import init, open_services
from farebox.config.load import load
from farebox.dialects.native.declaration import NATIVE
from farebox.domain.access import SCOPES_OF_KIND, ApiKeyKind, Mode, Principal
from farebox.domain.cards import Card, luhn_valid, parse_expiry, parse_pan
from farebox.domain.errors import ErrorCode, LimitExceeded
from farebox.domain.ids import ApiKeyId, RequestId
from farebox.domain.sensitive import Sensitive
from farebox.services.commands import Context, MintSingleUseToken
from farebox.services.tokenization import PROBING_ALERT_AT, PROBING_REFUSED_AT

# All of one BIN and last four, as somebody who knows a receipt would try them.
CANDIDATES = [number for middle in range(400) if luhn_valid(number := f"424242{middle:06}4242")]


@pytest.mark.parametrize(("mode", "minted"), [(Mode.LIVE, PROBING_REFUSED_AT), (Mode.TEST, 30)])
async def test_the_twenty_first_live_candidate_is_refused(tmp_path: Path, mode: Mode, minted: int) -> None:
    """SEC-05, §3.5: alert at five different cards of one shape a day, refusal beyond twenty, per tenant."""
    settings = load({"data_dir": str(tmp_path / "data")}, {})
    await init(settings)
    async with open_services(settings) as services:
        merchant, _ = await services.merchants.create("Shop", mode)
        principal = Principal(
            merchant.tenant,
            ApiKeyId("key_1"),
            ApiKeyKind.SECRET,
            SCOPES_OF_KIND[ApiKeyKind.SECRET],
            "native",
        )
        context = Context(principal, "native", NATIVE.tokens, RequestId("req_1"), lambda view: b"")
        done = 0
        for number in CANDIDATES[:30]:
            card = Card(parse_pan(Sensitive(number)), parse_expiry(12, 2034))
            try:
                await services.use_cases.application.execute(MintSingleUseToken(card), context)
            except LimitExceeded as refusal:
                assert refusal.code is ErrorCode.CARD_PROBING_REFUSED
                break
            done += 1
        _, metrics = services.metrics.render()
    assert done == minted
    alerts = PROBING_REFUSED_AT - PROBING_ALERT_AT + 1 if mode is Mode.LIVE else 0
    assert f"farebox_card_probing_alerts_total {float(alerts)}" in metrics.decode()
