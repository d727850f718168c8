"""Each gateway's documented test values force what the gateway documents."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from farebox.adapters.processors.sandbox import SandboxProcessor
from farebox.adapters.processors.sandbox.outcomes import Row, table
from farebox.domain.access import Mode, Tenant
from farebox.domain.cards import Card, parse_cvc, parse_expiry, parse_pan
from farebox.domain.ids import MerchantId, OperationId
from farebox.domain.instruments import BillingAddress, PayerDetails
from farebox.domain.money import Money
from farebox.domain.operations import Approved, Declined, InDoubt, OperationKind, Outcome
from farebox.domain.sensitive import Sensitive
from farebox.ports.processors import ProcessorRequest

TENANT = Tenant(MerchantId("mer_1"), Mode.TEST)
GATEWAYS = ("native", "bamboo", "paysafe", "payroc", "dintero")
_serial = iter(range(10**6))


class CountingClock:
    """Implements `ports.system.Clock`; sleeping only counts."""

    def __init__(self) -> None:
        self.slept_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 24, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.slept_s

    async def sleep(self, delay_s: float) -> None:
        self.slept_s += delay_s


@pytest.fixture
async def acquirer() -> AsyncIterator[SandboxProcessor]:
    processor = SandboxProcessor(None, clock=CountingClock(), timeout_s=30.0)
    yield processor
    await processor.close()


def request(
    gateway: str, *, number: str = "4242424242424242", cvc: str = "123", **changes: Any
) -> ProcessorRequest:
    pan = parse_pan(Sensitive(number), requires_check_digit=False)
    address = changes.pop("address", None)
    values: dict[str, Any] = {
        "operation_id": OperationId("op_1"),
        "reference": f"ref_{next(_serial)}",
        "kind": OperationKind.PURCHASE,
        "tenant": TENANT,
        "money": Money(12_345, "USD"),
        "merchant_time": datetime(2026, 11, 24, tzinfo=UTC),
        "instrument": Card(
            pan, parse_expiry(12, 2034), None, parse_cvc(Sensitive(cvc), brand="unknown") if cvc else None
        ),
        "payer": PayerDetails(billing_address=address),
        "attributes": {"dialect": gateway},
    }
    return ProcessorRequest(**{**values, **changes})


def _rows(gateway: str) -> list[Any]:
    return [
        pytest.param(gateway, row, id=f"{gateway}-{number}") for number, row in enumerate(table(gateway).rows)
    ]


def _ending(row: Row) -> str | None:
    if row.card_ending is None:
        return None
    prefix = row.card_prefixes[0]
    return prefix.ljust(11 if prefix.startswith("3") else 12, "9") + row.card_ending


def _forced(gateway: str, row: Row) -> ProcessorRequest | None:
    number = row.card or _ending(row)
    if number is not None:
        return request(gateway, number=number, cvc="")
    if row.attribute is not None:
        name, _, value = row.attribute.partition("=")
        return request(gateway, attributes={"dialect": gateway, name: value})
    if row.amount_minor is not None:
        return request(gateway, money=Money(row.amount_minor, row.currency or "USD"))
    if row.cvc_value is not None:
        return request(gateway, cvc=row.cvc_value)
    line1 = row.line1 or (f"{row.line1_prefix} Street" if row.line1_prefix else None)
    if line1 is not None or row.postal_code is not None:
        return request(
            gateway, address=BillingAddress(line1=line1 or "x", postal_code=row.postal_code or "1")
        )
    return None


@pytest.mark.parametrize(("gateway", "row"), [one for gateway in GATEWAYS for one in _rows(gateway)])
async def test_every_row_does_what_it_says(acquirer: SandboxProcessor, gateway: str, row: Row) -> None:
    """Each row, asked for by what it names: outcome, reason, code and checks."""
    asked = _forced(gateway, row)
    if asked is None:
        assert row.account is not None, "a row names something"
        return
    outcome = await acquirer.submit(asked)
    late_and_lost = row.trouble == "late" and (row.delay_s or 0) >= acquirer.timeout_s
    if row.trouble in {"never", "garbled"} or late_and_lost:
        assert isinstance(outcome, InDoubt)
        outcome = await acquirer.inquire(asked.reference, TENANT)
    if row.outcome == "declined":
        assert isinstance(outcome, Declined)
        assert (outcome.decline.reason, outcome.decline.processor_code) == (row.reason, row.code)
    else:
        assert isinstance(outcome, Approved)
        assert outcome.approved_minor == asked.money.amount_minor // (2 if row.outcome == "partial" else 1)
    if row.avs is not None and row.card is None:
        assert outcome.checks.avs is row.avs
    if row.cvc is not None and row.card is None:
        assert outcome.checks.cvc is row.cvc


def _said(outcome: Outcome) -> str:
    match outcome:
        case Approved():
            return "approved"
        case Declined():
            return f"{outcome.decline.reason.value} {outcome.decline.processor_code}"
        case _:
            return "in doubt" if isinstance(outcome, InDoubt) else "pending"


@pytest.mark.parametrize(
    ("gateway", "asked", "said"),
    [
        ("bamboo", {"money": Money(105_100, "UYU")}, "insufficient_funds TR026"),
        ("bamboo", {"money": Money(104_600, "UYU")}, "expired_card TR021"),
        ("bamboo", {"money": Money(105_100, "BRL")}, "approved"),
        ("bamboo", {"money": Money(100_000, "UYU")}, "approved"),
        ("bamboo", {"money": Money(100_001, "UYU")}, "do_not_honor TR013"),
        ("bamboo", {"money": Money(106_100, "UYU")}, "do_not_honor TR013"),
        ("bamboo", {"money": Money(106_101, "UYU")}, "approved"),
        ("bamboo", {"number": "4704550000000005"}, "approved"),
        (
            "bamboo",
            {"number": "4704550000000005", "money": Money(105_100, "UYU")},
            "insufficient_funds TR026",
        ),
        ("bamboo", {"number": "5385300000000001", "money": Money(105_100, "UYU")}, "approved"),
        ("bamboo", {"number": "5429910000000001"}, "approved"),
        ("bamboo", {"number": "4456530000001001"}, "do_not_honor TR013"),
        ("bamboo", {"number": "5529030604551745"}, "insufficient_funds TR026"),
        ("paysafe", {"money": Money(5, "CAD")}, "do_not_honor 3009"),
        ("paysafe", {"money": Money(11, "USD")}, "insufficient_funds 3022"),
        ("paysafe", {"money": Money(77, "GBP")}, "authentication_required 3060"),
        ("paysafe", {"money": Money(100, "USD")}, "approved"),
        ("paysafe", {"money": Money(96, "USD")}, "in doubt"),
        ("payroc", {"money": Money(4901, "USD")}, "do_not_honor 05"),
        ("payroc", {"money": Money(4902, "USD")}, "refer_to_issuer 01"),
        ("payroc", {"number": "3400000000000000"}, "approved"),
        ("dintero", {"number": "4100000000000076"}, "authentication_required 1A"),
        ("dintero", {"number": "4100000000000001"}, "in doubt"),
        ("dintero", {"number": "4000000000000002"}, "approved"),
        ("native", {"number": "4000000000000002"}, "do_not_honor 05"),
    ],
)
async def test_what_the_gateways_document(
    acquirer: SandboxProcessor, gateway: str, asked: dict[str, Any], said: str
) -> None:
    """Written down from the gateways' pages, not from the tables."""
    assert _said(await acquirer.submit(request(gateway, **asked))) == said


@pytest.mark.parametrize(
    ("street", "avs"), [("X 1", "match"), ("Nowhere", "no_match"), ("Zed", "postal_code_match")]
)
async def test_paysafes_street_decides_by_its_first_letter(
    acquirer: SandboxProcessor, street: str, avs: str
) -> None:
    """Paysafe's simulator, AVS."""
    outcome = await acquirer.submit(
        request("paysafe", address=BillingAddress(line1=street, postal_code="12345"))
    )
    assert isinstance(outcome, Approved)
    assert outcome.checks.avs.value == avs


async def test_paysafes_late_answers_are_late(acquirer: SandboxProcessor) -> None:
    """Amount 92 is approved after 15 seconds."""
    assert _said(await acquirer.submit(request("paysafe", money=Money(92, "USD")))) == "approved"
    assert acquirer._clock.monotonic() == 15.0


@pytest.mark.parametrize(
    ("ending", "kind", "code"),
    [
        ("0011", OperationKind.REFUND, "TR005"),
        ("0012", OperationKind.REFUND, "TR003"),
        ("0013", OperationKind.REFUND, "TR019"),
        ("0014", OperationKind.REFUND, "TR013"),
        ("0012", OperationKind.CAPTURE, "TR005"),
        ("0013", OperationKind.CAPTURE, "TR019"),
        ("0014", OperationKind.CAPTURE, "TR013"),
        ("0011", OperationKind.VOID, "TR005"),
        ("0012", OperationKind.VOID, "TR003"),
        ("0001", OperationKind.VOID, None),
        ("0011", OperationKind.CAPTURE, None),
    ],
)
async def test_bamboos_visa_endings_decide_on_follow_ups(
    acquirer: SandboxProcessor, ending: str, kind: OperationKind, code: str | None
) -> None:
    """The gateway model's table of 2023: commit, rollback and refund by the last four digits."""
    is_refund = kind is OperationKind.REFUND
    opening = OperationKind.PURCHASE if is_refund else OperationKind.AUTHORIZATION
    number = "400002".ljust(12, "9") + ending
    first = request("bamboo", number=number, cvc="", kind=opening, money=Money(10_000, "UYU"))
    assert isinstance(await acquirer.submit(first), Approved)
    outcome = await acquirer.submit(
        request(
            "bamboo",
            kind=kind,
            money=Money(10_000, "UYU"),
            instrument=None,
            target_reference=first.reference,
            target_kind=opening,
        )
    )
    if code is None:
        assert isinstance(outcome, Approved)
    else:
        assert isinstance(outcome, Declined)
        assert outcome.decline.processor_code == code
