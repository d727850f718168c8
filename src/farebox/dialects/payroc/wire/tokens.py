"""Single-use tokens, secure tokens, hosted-fields and Apple Pay sessions."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from farebox.dialects.payroc.wire.common import (
    Channel,
    Customer,
    CustomField,
    Facts,
    IpAddress,
    MitAgreement,
    Name,
    Operator,
    PageQuery,
    Text,
    Wire,
)
from farebox.dialects.payroc.wire.instruments import (
    AchPayload,
    CardPayload,
    PadPayload,
    SingleUseTokenPayload,
    SourceOut,
    TokenText,
)


class SingleUseTokenIn(Wire, frozen=True, kw_only=True):
    channel: Channel
    source: CardPayload | AchPayload | PadPayload
    operator: Operator | None = None


class SingleUseTokenOut(Wire, frozen=True, kw_only=True):
    processing_terminal_id: str
    operator: str | None = None
    token: str
    expires_at: str
    source: SourceOut


class GatewayAuthentication(Wire, tag_field="type", tag="gatewayThreeDSecure", frozen=True, kw_only=True):
    mpi_reference: Text


class ThirdPartyAuthentication(
    Wire, tag_field="type", tag="thirdPartyThreeDSecure", frozen=True, kw_only=True
):
    eci: Literal["fullyAuthenticated", "attemptedAuthentication"]
    xid: Text | None = None
    cavv: Text | None = None
    ds_transaction_id: Text | None = None


class SecureTokenIn(Wire, frozen=True, kw_only=True):
    source: AchPayload | PadPayload | CardPayload | SingleUseTokenPayload
    secure_token_id: Name | None = None
    operator: Operator | None = None
    mit_agreement: MitAgreement | None = None
    customer: Customer | None = None
    ip_address: IpAddress | None = None
    three_d_secure: GatewayAuthentication | ThirdPartyAuthentication | None = None
    custom_fields: list[CustomField] | None = None


class SecureTokenOut(Wire, frozen=True, kw_only=True):
    secure_token_id: str
    processing_terminal_id: str
    mit_agreement: str | None = None
    customer: Facts | None = None
    source: SourceOut
    token: str
    status: str
    custom_fields: list[Facts] | None = None


class SecureTokenQuery(PageQuery, frozen=True, kw_only=True):
    secure_token_id: str | None = None
    customer_name: str | None = None
    phone: str | None = None
    email: str | None = None
    token: str | None = None
    first6: str | None = None
    last4: str | None = None


class AccountUpdateIn(Wire, tag_field="type", tag="singleUseToken", frozen=True, kw_only=True):
    token: TokenText


class PatchedSource(Wire, frozen=True, kw_only=True):
    """What may be patched of any source; the rest of it is passed over."""

    cardholder_name: Text | None = None
    expiry_date: Annotated[str, msgspec.Meta(pattern="^(0[1-9]|1[0-2])[0-9]{2}$")] | None = None
    name_on_account: Text | None = None
    institution_number: Annotated[str, msgspec.Meta(pattern="^[0-9]{3}$")] | None = None
    account_type: Literal["checking", "savings"] | None = None
    sec_code: Literal["web", "tel", "ccd", "ppd"] | None = None


class PatchedSecureToken(Wire, frozen=True, kw_only=True):
    """What is left of a secure token after a patch."""

    source: PatchedSource
    mit_agreement: MitAgreement | None = None
    customer: Customer | None = None
    custom_fields: list[CustomField] | None = None


class HostedFieldsIn(Wire, frozen=True, kw_only=True):
    lib_version: Text
    scenario: Literal["payment", "tokenization"]
    secure_token_id: Name | None = None


class HostedFieldsOut(Wire, frozen=True, kw_only=True):
    processing_terminal_id: str
    token: str
    expires_at: str


class ApplePayIn(Wire, frozen=True, kw_only=True):
    apple_domain_id: Text
    apple_validation_url: Text


class ApplePayOut(Wire, frozen=True, kw_only=True):
    start_session_response: str
