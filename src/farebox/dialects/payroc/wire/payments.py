"""Card payments, refunds, bank transfers and their features."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from farebox.dialects.payroc.wire.common import (
    Amount,
    Breakdown,
    Channel,
    Charge,
    Contact,
    Currency,
    Customer,
    CustomField,
    Facts,
    IpAddress,
    MitAgreement,
    Name,
    Operator,
    OrderId,
    PageQuery,
    Result,
    Shipping,
    SimpleBreakdown,
    Summary,
    TerminalId,
    Text,
    Wire,
)
from farebox.dialects.payroc.wire.instruments import (
    AchPayload,
    BankAccountOut,
    BinPayload,
    CardInfo,
    CardOut,
    CardPayload,
    PadPayload,
    SecureTokenPayload,
    Signature,
    SingleUseTokenPayload,
    WalletPayload,
)


class FirstTransaction(Wire, frozen=True, kw_only=True):
    payment_id: Text | None = None
    card_scheme_reference_id: Text | None = None


class StandingInstructions(Wire, frozen=True, kw_only=True):
    sequence: Literal["first", "subsequent"]
    processing_model: MitAgreement
    reference_data_of_first_txn: FirstTransaction | None = None


class DccOffer(Wire, frozen=True, kw_only=True):
    fx_amount: Amount
    fx_currency: Currency
    fx_rate: float
    markup: float
    accepted: bool | None = None
    offer_reference: Text | None = None
    fx_currency_code: Text | None = None
    fx_currency_exponent: int | None = None
    markup_text: Text | None = None
    provider: Text | None = None
    source: Text | None = None


class OrderIn(Wire, frozen=True, kw_only=True):
    order_id: OrderId
    amount: Charge
    currency: Currency
    date_time: Text | None = None
    description: Text | None = None
    dcc_offer: DccOffer | None = None
    standing_instructions: StandingInstructions | None = None
    accept_partial_amount: bool | None = None
    breakdown: Breakdown | None = None


class GatewayAuthentication(Wire, tag_field="serviceProvider", tag="gateway", frozen=True, kw_only=True):
    mpi_reference: Text


class ThirdPartyAuthentication(
    Wire, tag_field="serviceProvider", tag="thirdParty", frozen=True, kw_only=True
):
    eci: Literal["fullyAuthenticated", "attemptedAuthentication"]
    xid: Text | None = None
    cavv: Text | None = None
    ds_transaction_id: Text | None = None


class CredentialOnFile(Wire, frozen=True, kw_only=True):
    external_vault: bool | None = None
    tokenize: bool | None = None
    secure_token_id: Name | None = None
    mit_agreement: MitAgreement | None = None


class OfflineProcessing(Wire, frozen=True, kw_only=True):
    operation: Literal["offlineDecline", "offlineApproval", "deferredAuthorization"]
    approval_code: Text | None = None
    date_time: Text | None = None


class PaymentIn(Wire, frozen=True, kw_only=True):
    channel: Channel
    processing_terminal_id: TerminalId
    order: OrderIn
    payment_method: CardPayload | SecureTokenPayload | WalletPayload | SingleUseTokenPayload
    operator: Operator | None = None
    customer: Customer | None = None
    ip_address: IpAddress | None = None
    three_d_secure: GatewayAuthentication | ThirdPartyAuthentication | None = None
    credential_on_file: CredentialOnFile | None = None
    offline_processing: OfflineProcessing | None = None
    auto_capture: bool | None = None
    process_as_sale: bool | None = None
    custom_fields: list[CustomField] | None = None


class PaymentOut(Wire, frozen=True, kw_only=True):
    payment_id: str
    processing_terminal_id: str
    operator: str | None = None
    order: Facts
    customer: Facts | None = None
    card: CardOut
    refunds: list[Summary] | None = None
    supported_operations: list[str] | None = None
    transaction_result: Result
    custom_fields: list[Facts] | None = None


class PaymentQuery(PageQuery, frozen=True, kw_only=True):
    processing_terminal_id: str | None = None
    order_id: str | None = None
    operator: str | None = None
    cardholder_name: str | None = None
    first6: str | None = None
    last4: str | None = None
    tender: Literal["ebt", "creditDebit"] | None = None
    tip_mode: list[str] | str | None = None
    type: list[str] | str | None = None
    status: list[str] | str | None = None
    date_from: str | None = None
    date_to: str | None = None
    settlement_state: Literal["settled", "unsettled"] | None = None
    settlement_date: str | None = None
    payment_link_id: str | None = None


class CaptureIn(Wire, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId | None = None
    operator: Operator | None = None
    amount: Charge | None = None
    breakdown: Breakdown | None = None


class ReverseIn(Wire, frozen=True, kw_only=True):
    operator: Operator | None = None
    amount: Charge | None = None


class RefundIn(Wire, frozen=True, kw_only=True):
    amount: Charge
    description: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    operator: Operator | None = None


class AdjustedBreakdown(Wire, frozen=True, kw_only=True):
    tip: Any = None


class OrderAdjustment(Wire, tag_field="type", tag="order", frozen=True, kw_only=True):
    amount: Charge
    breakdown: Facts | None = None


class StatusAdjustment(Wire, tag_field="type", tag="status", frozen=True, kw_only=True):
    to_status: Literal["ready", "pending"]


class CustomerAdjustment(Wire, tag_field="type", tag="customer", frozen=True, kw_only=True):
    shipping_address: Shipping | None = None
    contact_methods: list[Contact] | None = None


class SignatureAdjustment(Wire, tag_field="type", tag="signature", frozen=True, kw_only=True):
    cardholder_signature: Signature


class AdjustIn(Wire, frozen=True, kw_only=True):
    adjustments: Annotated[
        list[OrderAdjustment | StatusAdjustment | CustomerAdjustment | SignatureAdjustment],
        msgspec.Meta(min_length=1, max_length=10),
    ]
    operator: Operator | None = None


# --- refunds ---------------------------------------------------------------------------------------


class RefundOrderIn(Wire, frozen=True, kw_only=True):
    order_id: OrderId
    description: Text
    amount: Charge
    currency: Currency
    date_time: Text | None = None
    dcc_offer: DccOffer | None = None


class UnreferencedRefundIn(Wire, frozen=True, kw_only=True):
    channel: Channel
    processing_terminal_id: TerminalId
    order: RefundOrderIn
    refund_method: CardPayload | SecureTokenPayload
    operator: Operator | None = None
    customer: Customer | None = None
    ip_address: IpAddress | None = None
    custom_fields: list[CustomField] | None = None


class RefundAdjustIn(Wire, frozen=True, kw_only=True):
    adjustments: Annotated[
        list[StatusAdjustment | CustomerAdjustment], msgspec.Meta(min_length=1, max_length=10)
    ]
    operator: Operator | None = None


class RefundOut(Wire, frozen=True, kw_only=True):
    refund_id: str
    processing_terminal_id: str
    operator: str | None = None
    order: Facts
    customer: Facts | None = None
    card: CardOut
    payment: Summary | None = None
    supported_operations: list[str] | None = None
    transaction_result: Result
    custom_fields: list[Facts] | None = None


class RefundQuery(PageQuery, frozen=True, kw_only=True):
    processing_terminal_id: str | None = None
    order_id: str | None = None
    operator: str | None = None
    cardholder_name: str | None = None
    first6: str | None = None
    last4: str | None = None
    tender: Literal["ebt", "creditDebit"] | None = None
    status: list[str] | str | None = None
    date_from: str | None = None
    date_to: str | None = None
    settlement_state: Literal["settled", "unsettled"] | None = None
    settlement_date: str | None = None


# --- bank transfers --------------------------------------------------------------------------------


class BankOrderIn(Wire, frozen=True, kw_only=True):
    order_id: OrderId
    amount: Charge
    currency: Currency
    date_time: Text | None = None
    description: Text | None = None
    breakdown: SimpleBreakdown | None = None


class BankPaymentIn(Wire, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId
    order: BankOrderIn
    payment_method: AchPayload | PadPayload | SecureTokenPayload | SingleUseTokenPayload
    customer: Customer | None = None
    credential_on_file: CredentialOnFile | None = None
    custom_fields: list[CustomField] | None = None


class BankRefundIn(Wire, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId
    order: RefundOrderIn
    refund_method: AchPayload | PadPayload | SecureTokenPayload
    customer: Customer | None = None
    custom_fields: list[CustomField] | None = None


class RepresentIn(Wire, frozen=True, kw_only=True):
    payment_method: AchPayload | SecureTokenPayload | None = None


class BankResult(Wire, frozen=True, kw_only=True):
    type: str
    status: str
    authorized_amount: int
    currency: str
    response_code: str
    response_message: str | None = None
    processor_response_code: str | None = None


class ReturnOut(Wire, frozen=True, kw_only=True):
    payment_id: str
    date: str
    return_code: str
    return_reason: str
    represented: bool
    closed: bool


class BankPaymentOut(Wire, frozen=True, kw_only=True):
    payment_id: str
    processing_terminal_id: str
    order: Facts
    customer: Facts | None = None
    bank_account: BankAccountOut
    refunds: list[Summary] | None = None
    returns: list[ReturnOut] | None = None
    representment: Summary | None = None
    transaction_result: BankResult
    custom_fields: list[Facts] | None = None


class BankRefundOut(Wire, frozen=True, kw_only=True):
    refund_id: str
    processing_terminal_id: str
    order: Facts
    customer: Facts | None = None
    bank_account: BankAccountOut
    payment: Summary | None = None
    transaction_result: BankResult
    custom_fields: list[Facts] | None = None


class BankPaymentQuery(PageQuery, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId
    order_id: str | None = None
    name_on_account: str | None = None
    last4: str | None = None
    type: list[str] | str | None = None
    status: list[str] | str | None = None
    date_from: str | None = None
    date_to: str | None = None
    settlement_state: Literal["settled", "unsettled"] | None = None
    settlement_date: str | None = None
    payment_link_id: str | None = None


# --- features --------------------------------------------------------------------------------------


class VerifyIn(Wire, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId
    card: CardPayload
    operator: Operator | None = None
    customer: Customer | None = None


class VerifyOut(Wire, frozen=True, kw_only=True):
    operator: str | None = None
    processing_terminal_id: str
    card: CardOut
    verified: bool
    transaction_result: Result


class BalanceIn(Wire, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId
    currency: Currency
    card: CardPayload | SingleUseTokenPayload
    operator: Operator | None = None
    customer: Customer | None = None


class BalanceOut(Wire, frozen=True, kw_only=True):
    processing_terminal_id: str
    operator: str | None = None
    card: CardOut
    response_code: str
    response_message: str


class BinLookupIn(Wire, frozen=True, kw_only=True):
    card: CardPayload | BinPayload | SecureTokenPayload | WalletPayload
    processing_terminal_id: TerminalId | None = None
    amount: Amount | None = None
    currency: Currency | None = None


class FxRateIn(Wire, frozen=True, kw_only=True):
    channel: Channel
    processing_terminal_id: TerminalId
    base_amount: Charge
    base_currency: Currency
    payment_method: CardPayload | SecureTokenPayload | WalletPayload
    operator: Operator | None = None


class InquiryResult(Wire, frozen=True, kw_only=True):
    dcc_offered: bool
    cause_of_rejection: str | None = None


class FxRateOut(Wire, frozen=True, kw_only=True):
    processing_terminal_id: str
    operator: str | None = None
    base_amount: int
    base_currency: str
    inquiry_result: InquiryResult
    dcc_offer: DccOffer | None = None
    card_info: CardInfo


class BankVerifyIn(Wire, frozen=True, kw_only=True):
    processing_terminal_id: TerminalId
    bank_account: AchPayload | PadPayload


class BankVerifyOut(Wire, frozen=True, kw_only=True):
    processing_terminal_id: str
    verified: bool
