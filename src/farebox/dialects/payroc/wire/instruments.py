"""Cards and bank accounts as they come in and as they are shown.

PIN blocks have no field here: they are passed over when a body is read and nothing ever holds one.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from farebox.dialects.payroc.wire.common import (
    AccountType,
    ExpiryText,
    SecCode,
    SecureTokenSummary,
    Text,
    Wire,
)
from farebox.domain.sensitive import Sensitive

Signature = Annotated[str, msgspec.Meta(max_length=20_000)]
Digit = Annotated[str, msgspec.Meta(pattern="^[0-9]$")]
Downgrade = Literal["keyed", "swiped"]
RoutingNumber = Annotated[str, msgspec.Meta(pattern="^[0-9]{9}$")]
TransitNumber = Annotated[str, msgspec.Meta(pattern="^[0-9]{5}$")]
InstitutionNumber = Annotated[str, msgspec.Meta(pattern="^[0-9]{3}$")]
TokenText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class DeviceConfig(Wire, frozen=True, kw_only=True):
    quick_chip: bool


class Device(Wire, frozen=True, kw_only=True):
    model: Text
    serial_number: Text
    category: Literal["attended", "unattended"] | None = None
    firmware_version: Text | None = None
    config: DeviceConfig | None = None
    data_ksn: Text | None = None


class Voucher(Wire, frozen=True, kw_only=True):
    approval_code: Text
    serial_number: Text


class Ebt(Wire, frozen=True, kw_only=True):
    benefit_category: Literal["cash", "foodStamp"]
    withdrawal: bool | None = None
    voucher: Voucher | None = None


class PlainKeyed(Wire, tag_field="dataFormat", tag="plainText", frozen=True, kw_only=True):
    card_number: Sensitive
    expiry_date: ExpiryText | None = None
    cvv: Sensitive | None = None
    issue_number: Text | None = None
    device: Device | None = None


class FullyEncryptedKeyed(Wire, tag_field="dataFormat", tag="fullyEncrypted", frozen=True, kw_only=True):
    device: Device
    encrypted_data: Sensitive
    first_digit_of_pan: Digit | None = None


class PartiallyEncryptedKeyed(
    Wire, tag_field="dataFormat", tag="partiallyEncrypted", frozen=True, kw_only=True
):
    device: Device
    encrypted_pan: Sensitive
    masked_pan: Text
    expiry_date: ExpiryText
    cvv: Sensitive | None = None
    cvv_encrypted: Sensitive | None = None
    issue_number: Text | None = None


class PlainSwiped(Wire, tag_field="dataFormat", tag="plainText", frozen=True, kw_only=True):
    device: Device
    track_data: Sensitive
    fallback: bool | None = None
    fallback_reason: Literal["technical", "repeatFallback", "emptyCandidateList"] | None = None


class EncryptedSwiped(Wire, tag_field="dataFormat", tag="encrypted", frozen=True, kw_only=True):
    device: Device
    encrypted_data: Sensitive
    first_digit_of_pan: Digit | None = None
    fallback: bool | None = None
    fallback_reason: Literal["technical", "repeatFallback", "emptyCandidateList"] | None = None


class RawCard(Wire, tag_field="entryMethod", tag="raw", frozen=True, kw_only=True):
    device: Device
    raw_data: Sensitive
    downgrade_to: Downgrade | None = None
    cardholder_signature: Signature | None = None


class IccCard(Wire, tag_field="entryMethod", tag="icc", frozen=True, kw_only=True):
    device: Device
    icc_data: Sensitive
    first_digit_of_pan: Digit | None = None
    downgrade_to: Downgrade | None = None
    cardholder_signature: Signature | None = None
    ebt_details: Ebt | None = None


class KeyedCard(Wire, tag_field="entryMethod", tag="keyed", frozen=True, kw_only=True):
    keyed_data: PlainKeyed | FullyEncryptedKeyed | PartiallyEncryptedKeyed
    cardholder_name: Text | None = None
    cardholder_signature: Signature | None = None
    ebt_details: Ebt | None = None


class SwipedCard(Wire, tag_field="entryMethod", tag="swiped", frozen=True, kw_only=True):
    swiped_data: PlainSwiped | EncryptedSwiped
    downgrade_to: Downgrade | None = None
    cardholder_name: Text | None = None
    cardholder_signature: Signature | None = None
    ebt_details: Ebt | None = None


CardDetails = RawCard | IccCard | KeyedCard | SwipedCard


class CardPayload(Wire, tag_field="type", tag="card", frozen=True, kw_only=True):
    card_details: CardDetails
    account_type: AccountType | None = None


class AchPayload(Wire, tag_field="type", tag="ach", frozen=True, kw_only=True):
    name_on_account: Text
    account_number: Sensitive
    routing_number: RoutingNumber
    account_type: AccountType
    sec_code: SecCode


class PadPayload(Wire, tag_field="type", tag="pad", frozen=True, kw_only=True):
    name_on_account: Text
    account_number: Sensitive
    transit_number: TransitNumber
    institution_number: InstitutionNumber
    account_type: AccountType | None = None


class SecureTokenPayload(Wire, tag_field="type", tag="secureToken", frozen=True, kw_only=True):
    token: TokenText
    account_type: AccountType | None = None
    sec_code: SecCode | None = None


class SingleUseTokenPayload(Wire, tag_field="type", tag="singleUseToken", frozen=True, kw_only=True):
    token: TokenText
    ebt_details: Ebt | None = None
    account_type: AccountType | None = None
    sec_code: SecCode | None = None


class WalletPayload(Wire, tag_field="type", tag="digitalWallet", frozen=True, kw_only=True):
    service_provider: Literal["apple", "google"]
    encrypted_data: Sensitive
    cardholder_name: Text | None = None
    account_type: AccountType | None = None


class BinPayload(Wire, tag_field="type", tag="cardBin", frozen=True, kw_only=True):
    bin: Annotated[str, msgspec.Meta(pattern="^[0-9]{6,8}$")]


# --- shown -----------------------------------------------------------------------------------------


class Surcharging(Wire, frozen=True, kw_only=True):
    allowed: bool
    amount: int | None = None
    percentage: float | None = None
    disclosure: str | None = None


class CardSource(Wire, tag_field="type", tag="card", frozen=True, kw_only=True):
    cardholder_name: str
    card_number: str
    expiry_date: str | None = None
    card_type: str | None = None
    currency: str | None = None
    debit: bool | None = None
    surcharging: Surcharging | None = None


class AchSource(Wire, tag_field="type", tag="ach", frozen=True, kw_only=True):
    name_on_account: str
    account_number: str
    routing_number: str
    account_type: str | None = None


class PadSource(Wire, tag_field="type", tag="pad", frozen=True, kw_only=True):
    name_on_account: str
    account_number: str
    transit_number: str
    institution_number: str
    account_type: str | None = None


SourceOut = CardSource | AchSource | PadSource


class SecurityChecks(Wire, frozen=True, kw_only=True):
    cvv_result: str | None = None
    avs_result: str | None = None


class Balance(Wire, frozen=True, kw_only=True):
    benefit_category: str
    amount: int
    currency: str


class CardOut(Wire, frozen=True, kw_only=True):
    type: str
    entry_method: str
    cardholder_name: str | None = None
    cardholder_signature: str | None = None
    card_number: str
    expiry_date: str
    secure_token: SecureTokenSummary | None = None
    security_checks: SecurityChecks | None = None
    balances: list[Balance] | None = None


class CardInfo(Wire, frozen=True, kw_only=True):
    type: str
    card_number: str
    country: str | None = None
    currency: str | None = None
    debit: bool | None = None
    surcharging: Surcharging | None = None


class AchOut(Wire, tag_field="type", tag="ach", frozen=True, kw_only=True):
    sec_code: str | None = None
    name_on_account: str
    account_number: str
    routing_number: str
    secure_token: SecureTokenSummary | None = None


class PadOut(Wire, tag_field="type", tag="pad", frozen=True, kw_only=True):
    name_on_account: str
    account_number: str
    transit_number: str
    institution_number: str
    secure_token: SecureTokenSummary | None = None


BankAccountOut = AchOut | PadOut
