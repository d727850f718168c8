"""What the published clients' typed models require of every answer.

Written from the API's reference, not from the code: a field that a client requires has no default here, a
union is told apart by its tag, and nothing may be null.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

DateTime = str


class Model(msgspec.Struct, kw_only=True, rename="camel"):
    pass


class Link(Model, kw_only=True):
    rel: str
    method: str
    href: str


class ErrorItem(Model, kw_only=True):
    message: str
    parameter: str | msgspec.UnsetType = msgspec.UNSET
    detail: str | msgspec.UnsetType = msgspec.UNSET


class Problem(Model, kw_only=True):
    type: str
    title: str
    status: int
    detail: str
    instance: str | msgspec.UnsetType = msgspec.UNSET
    resource: str | msgspec.UnsetType = msgspec.UNSET
    errors: list[ErrorItem] | msgspec.UnsetType = msgspec.UNSET
    link: Link | msgspec.UnsetType = msgspec.UNSET


class Token(msgspec.Struct):
    access_token: str
    token_type: str
    expires_in: int
    scope: str


class CardSource(Model, tag_field="type", tag="card", kw_only=True):
    cardholder_name: str
    card_number: str


class AchSource(Model, tag_field="type", tag="ach", kw_only=True):
    name_on_account: str
    account_number: str
    routing_number: str


class PadSource(Model, tag_field="type", tag="pad", kw_only=True):
    name_on_account: str
    account_number: str
    transit_number: str
    institution_number: str


Source = CardSource | AchSource | PadSource


class SingleUseToken(Model, kw_only=True):
    processing_terminal_id: str
    token: str
    expires_at: DateTime
    source: Source


Validation = Literal[
    "notValidated",
    "cvvValidated",
    "validationFailed",
    "issueNumberValidated",
    "cardNumberValidated",
    "bankAccountValidated",
]


class SecureToken(Model, kw_only=True):
    secure_token_id: str
    processing_terminal_id: str
    source: Source
    token: str
    status: Validation


class SecureTokenSummary(Model, kw_only=True):
    secure_token_id: str
    customer_name: str
    token: str
    status: Validation


class Card(Model, kw_only=True):
    type: str
    entry_method: Literal["icc", "keyed", "swiped", "swipedFallback", "contactlessIcc", "contactlessMsr"]
    card_number: str
    expiry_date: str
    secure_token: SecureTokenSummary | msgspec.UnsetType = msgspec.UNSET


class Result(Model, kw_only=True):
    status: Literal[
        "ready",
        "pending",
        "declined",
        "complete",
        "referral",
        "pickup",
        "reversal",
        "admin",
        "expired",
        "accepted",
    ]
    response_code: Literal["A", "D", "E", "P", "R", "C"]
    type: Literal["sale", "refund", "preAuthorization", "preAuthorizationCompletion"] | msgspec.UnsetType = (
        msgspec.UNSET
    )


class Tax(Model, kw_only=True):
    name: str
    rate: float


class Breakdown(Model, kw_only=True):
    subtotal: int
    taxes: list[Tax] | msgspec.UnsetType = msgspec.UNSET


class Order(Model, kw_only=True):
    order_id: str
    amount: int
    currency: str
    date_time: DateTime
    breakdown: Breakdown | msgspec.UnsetType = msgspec.UNSET


class RefundSummary(Model, kw_only=True):
    refund_id: str
    date_time: DateTime
    currency: str
    amount: int
    status: str
    response_code: str
    response_message: str


class PaymentSummary(Model, kw_only=True):
    payment_id: str
    date_time: DateTime
    currency: str
    amount: int
    status: str
    response_code: str


class Payment(Model, kw_only=True):
    payment_id: str
    processing_terminal_id: str
    order: Order
    card: Card
    transaction_result: Result
    refunds: list[RefundSummary] | msgspec.UnsetType = msgspec.UNSET


class RefundOrder(Model, kw_only=True):
    order_id: str
    description: str
    amount: int
    currency: str
    date_time: DateTime


class Refund(Model, kw_only=True):
    refund_id: str
    processing_terminal_id: str
    order: RefundOrder
    card: Card
    transaction_result: Result
    payment: PaymentSummary | msgspec.UnsetType = msgspec.UNSET


class AchAccount(Model, tag_field="type", tag="ach", kw_only=True):
    name_on_account: str
    account_number: str
    routing_number: str


class PadAccount(Model, tag_field="type", tag="pad", kw_only=True):
    name_on_account: str
    account_number: str
    transit_number: str
    institution_number: str


class BankResult(Model, kw_only=True):
    type: Literal["payment", "refund", "unreferencedRefund", "accountVerification"]
    status: Literal["ready", "pending", "declined", "complete", "admin", "reversal", "returned"]
    currency: str
    response_code: str


class Return(Model, kw_only=True):
    payment_id: str
    date: str
    return_code: str
    return_reason: str
    represented: bool


class BankPayment(Model, kw_only=True):
    payment_id: str
    processing_terminal_id: str
    order: Order
    bank_account: AchAccount | PadAccount
    transaction_result: BankResult
    returns: list[Return] | msgspec.UnsetType = msgspec.UNSET
    refunds: list[RefundSummary] | msgspec.UnsetType = msgspec.UNSET
    representment: PaymentSummary | msgspec.UnsetType = msgspec.UNSET


class BankRefund(Model, kw_only=True):
    refund_id: str
    processing_terminal_id: str
    order: RefundOrder
    bank_account: AchAccount | PadAccount
    transaction_result: BankResult


class Verification(Model, kw_only=True):
    processing_terminal_id: str
    card: Card
    verified: bool
    transaction_result: Result


class Balance(Model, kw_only=True):
    benefit_category: Literal["cash", "foodStamp"]
    amount: int
    currency: str


class CardWithBalances(Card, kw_only=True):
    balances: list[Balance]


class BalanceInquiry(Model, kw_only=True):
    processing_terminal_id: str
    card: CardWithBalances
    response_code: str
    response_message: str


class CardInfo(Model, kw_only=True):
    type: str
    card_number: str


class InquiryResult(Model, kw_only=True):
    dcc_offered: bool


class FxRate(Model, kw_only=True):
    processing_terminal_id: str
    base_amount: int
    base_currency: str
    inquiry_result: InquiryResult
    card_info: CardInfo


class BankVerification(Model, kw_only=True):
    processing_terminal_id: str
    verified: bool


class HostedFields(Model, kw_only=True):
    processing_terminal_id: str
    token: str
    expires_at: DateTime


class ApplePay(Model, kw_only=True):
    start_session_response: str


class Plan(Model, kw_only=True):
    payment_plan_id: str
    processing_terminal_id: str
    name: str
    currency: str
    type: Literal["manual", "automatic"]
    frequency: Literal["weekly", "fortnightly", "monthly", "quarterly", "yearly"]
    on_update: Literal["update", "continue"]
    on_delete: Literal["complete", "continue"]


class PlanSummary(Model, kw_only=True):
    payment_plan_id: str
    name: str


class CurrentState(Model, kw_only=True):
    status: Literal["active", "completed", "suspended", "cancelled"]
    paid_invoices: int


class Subscription(Model, kw_only=True):
    subscription_id: str
    processing_terminal_id: str
    name: str
    currency: str
    start_date: str
    type: Literal["manual", "automatic"]
    frequency: str
    payment_plan: PlanSummary
    secure_token: SecureTokenSummary
    current_state: CurrentState


class Collection(Model, kw_only=True):
    subscription_id: str
    processing_terminal_id: str
    payment: PaymentSummary
    secure_token: SecureTokenSummary
    current_state: CurrentState


class Prompt(Model, tag_field="type", tag="prompt", kw_only=True):
    currency: str


class Preset(Model, tag_field="type", tag="preset", kw_only=True):
    amount: int
    currency: str


class LinkOrder(Model, kw_only=True):
    charge: Prompt | Preset


class Assets(Model, kw_only=True):
    payment_url: str
    payment_button: str


class MultiUseLink(Model, tag_field="type", tag="multiUse", kw_only=True):
    merchant_reference: str
    order: LinkOrder
    auth_type: str
    payment_methods: list[str]
    payment_link_id: str
    status: Literal["active", "completed", "deactivated", "expired"]
    created_on: str
    assets: Assets


class SingleUseOrder(LinkOrder, kw_only=True):
    order_id: str


class SingleUseLink(Model, tag_field="type", tag="singleUse", kw_only=True):
    merchant_reference: str
    order: SingleUseOrder
    auth_type: str
    payment_methods: list[str]
    expires_on: str
    payment_link_id: str
    status: Literal["active", "completed", "deactivated", "expired"]
    created_on: str
    assets: Assets


class Recipient(Model, kw_only=True):
    name: str
    email: str


class SharingEvent(Model, kw_only=True):
    sharing_method: Literal["email"]
    recipients: list[Recipient]
    sharing_event_id: str
    date_time: DateTime


class Webhook(Model, tag_field="type", tag="webhook", kw_only=True):
    uri: str
    secret: str
    support_email_address: str


class EventSubscription(Model, kw_only=True):
    id: int
    enabled: bool
    event_types: list[str]
    notifications: list[Webhook]
    status: Literal["registered", "suspended", "failed"]


class Page(Model, kw_only=True):
    limit: int
    count: int
    has_more: bool
    data: list[dict[str, Any]]
    links: list[Link]


_TERMINAL = "/v1/processing-terminals/{processingTerminalId}"
MODELS: dict[str, Any] = {
    "/authorize": Token,
    "/v1/authorize": Token,
    f"{_TERMINAL}/single-use-tokens": SingleUseToken,
    f"{_TERMINAL}/secure-tokens": SecureToken,
    f"{_TERMINAL}/hosted-fields-sessions": HostedFields,
    f"{_TERMINAL}/apple-pay-sessions": ApplePay,
    f"{_TERMINAL}/payment-plans": Plan,
    f"{_TERMINAL}/subscriptions": Subscription,
    f"{_TERMINAL}/subscriptions/{{subscriptionId}}/pay": Collection,
    f"{_TERMINAL}/payment-links": MultiUseLink | SingleUseLink,
    "/v1/payment-links": MultiUseLink | SingleUseLink,
    "/v1/payment-links/{paymentLinkId}/sharing-events": SharingEvent,
    "/v1/payments": Payment,
    "/v1/refunds": Refund,
    "/v1/bank-transfer-payments": BankPayment,
    "/v1/bank-transfer-refunds": BankRefund,
    "/v1/cards/verify": Verification,
    "/v1/cards/balance": BalanceInquiry,
    "/v1/cards/bin-lookup": CardInfo,
    "/v1/fx-rates": FxRate,
    "/v1/bank-accounts/verify": BankVerification,
    "/v1/event-subscriptions": EventSubscription,
}
"""By the longest beginning of a route's path."""


def model_of(route: str) -> Any:
    """Give the model of one thing that a route answers."""
    fitting = [path for path in MODELS if route == path or route.startswith(f"{path}/")]
    return MODELS[max(fitting, key=len)]


def nulls_in(value: Any, where: str = "body") -> list[str]:
    """Name every null."""
    if value is None:
        return [where]
    if isinstance(value, dict):
        return [place for name, item in value.items() for place in nulls_in(item, f"{where}.{name}")]
    if isinstance(value, list):
        return [place for n, item in enumerate(value) for place in nulls_in(item, f"{where}[{n}]")]
    return []


def check(method: str, route: str, status: int, value: Any) -> None:
    """Hold an answer to the clients' models.

    Raises:
        AssertionError: a null, or what `msgspec` says of a missing or mistyped field.
    """
    if status == 204:
        assert value is None
        return
    assert not nulls_in(value), f"{method} {route}: null at {nulls_in(value)}"
    if status >= 400:
        problem = msgspec.convert(value, Problem)
        assert problem.status == status
        return
    model = model_of(route)
    if isinstance(value, dict) and "hasMore" in value:
        page = msgspec.convert(value, Page)
        assert page.count == len(page.data)
        assert page.has_more == any(link.rel == "next" for link in page.links)
        assert {link.rel for link in page.links} <= {"next", "previous"}
        assert all(link.href.startswith("http") and link.method == "get" for link in page.links)
        for item in page.data:
            msgspec.convert(item, model)
        return
    msgspec.convert(value, model)
