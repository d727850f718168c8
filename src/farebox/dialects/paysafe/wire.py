"""What Paysafe's APIs read, field by field.

Unknown members are ignored, as the SDKs send some; what is written goes out as plain objects, because what
is absent must not be there at all. Limits are Paysafe's; a text that people read may hold none of the
characters that its documentation forbids.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from farebox.domain.sensitive import Sensitive

_CLEAN = r'^[^";^*</\[\]\\]*$'
"""Source: Paysafe, "Forbidden characters"."""

Text3 = Annotated[str, Meta(max_length=3, pattern=_CLEAN)]
Text10 = Annotated[str, Meta(max_length=10, pattern=_CLEAN)]
Text40 = Annotated[str, Meta(max_length=40, pattern=_CLEAN)]
Text50 = Annotated[str, Meta(max_length=50, pattern=_CLEAN)]
Text80 = Annotated[str, Meta(max_length=80, pattern=_CLEAN)]
Text160 = Annotated[str, Meta(max_length=160, pattern=_CLEAN)]
Text255 = Annotated[str, Meta(max_length=255, pattern=_CLEAN)]
Plain13 = Annotated[str, Meta(max_length=13)]
Plain20 = Annotated[str, Meta(max_length=20)]
Plain30 = Annotated[str, Meta(max_length=30)]
Plain36 = Annotated[str, Meta(max_length=36)]
Plain39 = Annotated[str, Meta(max_length=39)]
Plain80 = Annotated[str, Meta(max_length=80)]
Plain255 = Annotated[str, Meta(max_length=255)]
Plain256 = Annotated[str, Meta(max_length=256)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Locale = Literal["en_US", "fr_CA", "en_GB", "en_CA"]
Month = Annotated[int, Meta(ge=1, le=12)]


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A part of a request; what is written back leaves out what was not given."""


# --- shared ----------------------------------------------------------------------------------------


class Expiry(Part, frozen=True, kw_only=True):
    """A card's last month."""

    month: int
    year: int


class Date(Part, frozen=True, kw_only=True):
    """A day."""

    day: Annotated[int, Meta(ge=1, le=31)] | None = None
    month: Month | None = None
    year: Annotated[int, Meta(ge=1900)] | None = None


class Address(Part, frozen=True, kw_only=True):
    """Billing details of a transaction."""

    nickName: Text50 | None = None
    street: Text50 | None = None
    street2: Text50 | None = None
    city: Text40 | None = None
    state: Text40 | None = None
    country: Country | None = None
    zip: Text10 | None = None
    phone: Text40 | None = None


class Recipient(Part, frozen=True, kw_only=True):
    """Who receives the money, where a financial institution is paid."""

    dateOfBirth: Date | None = None
    zip: Text10 | None = None
    lastName: Text255 | None = None
    accountNumber: Annotated[str, Meta(max_length=25)] | None = None


class Person(Part, frozen=True, kw_only=True):
    """The customer of a transaction."""

    firstName: Text80 | None = None
    lastName: Text80 | None = None
    email: Plain255 | None = None
    merchantCustomerId: Annotated[str, Meta(max_length=100)] | None = None
    ssn: Annotated[str, Meta(max_length=9)] | None = None
    dateOfBirth: Date | None = None


class Shipping(Part, frozen=True, kw_only=True):
    """Where the goods go."""

    carrier: (
        Literal["APC", "APS", "CAD", "DHL", "FEX", "RML", "UPS", "USPS", "CLK", "EMS", "NEX", "OTHER"] | None
    ) = None
    shipMethod: Literal["N", "T", "C", "O", "S"] | None = None
    recipientName: Text255 | None = None
    street: Text50 | None = None
    street2: Text50 | None = None
    city: Text40 | None = None
    state: Text40 | None = None
    country: Country | None = None
    zip: Text10 | None = None


class SplitPay(Part, frozen=True, kw_only=True):
    """A share of a payment for another account."""

    linkedAccount: Plain255
    amount: int | None = None
    percent: float | None = None


class StatusIn(Part, frozen=True, kw_only=True):
    """The only change that a transaction takes."""

    status: str


# --- Card Payments ---------------------------------------------------------------------------------


class Card(Part, frozen=True, kw_only=True):
    """A card in the clear, or a token for one."""

    paymentToken: Plain80 | None = None
    cardNum: Sensitive | None = None
    cardExpiry: Expiry | None = None
    cvv: Sensitive | None = None
    holderName: Text160 | None = None
    track1: Any = None
    track2: Any = None


class Authentication(Part, frozen=True, kw_only=True):
    """The result of 3-D Secure."""

    eci: int | None = None
    cavv: Plain80 | None = None
    xid: Annotated[str, Meta(max_length=40)] | None = None
    threeDEnrollment: Literal["Y", "N", "U"] | None = None
    threeDResult: Literal["Y", "A", "N", "U", "E", "R"] | None = None
    signatureStatus: Literal["Y", "N"] | None = None
    directoryServerTransactionId: Plain36 | None = None
    threeDSecureVersion: Annotated[str, Meta(min_length=5, max_length=8)] | None = None
    exemptionIndicator: Literal["LOW_VALUE_EXEMPTION"] | None = None


class StoredCredential(Part, frozen=True, kw_only=True):
    """What a payment is in a series of payments."""

    type: Literal["ADHOC", "TOPUP", "RECURRING"] | None = None
    occurrence: Literal["INITIAL", "SUBSEQUENT"] | None = None
    initialTransactionId: Plain36 | None = None
    externalInitialTransactionId: Plain256 | None = None


class Descriptor(Part, frozen=True, kw_only=True):
    """What stands on the cardholder's statement; it may hold any character."""

    dynamicDescriptor: Plain20 | None = None
    phone: Plain13 | None = None
    country: Plain20 | None = None
    city: Plain20 | None = None


class AccordD(Part, frozen=True, kw_only=True):
    """Instalments by the issuer."""

    financingType: Literal["DEFERRED_PAYMENT", "EQUAL_PAYMENT"] | None = None
    plan: Text3 | None = None
    gracePeriod: Annotated[int, Meta(ge=0, le=99)] | None = None
    term: Annotated[int, Meta(ge=0, le=99)] | None = None


class VerificationIn(Part, frozen=True, kw_only=True):
    """A check of a card without an amount."""

    merchantRefNum: str | None = None
    card: Card
    dupCheck: bool = True
    profile: Person | None = None
    billingDetails: Address | None = None
    shippingDetails: Shipping | None = None
    authentication: Authentication | None = None
    storedCredential: StoredCredential | None = None
    recurring: Literal["INITIAL", "RECURRING"] | None = None
    customerIp: Plain39 | None = None
    merchantDescriptor: Descriptor | None = None
    accordD: AccordD | None = None
    description: Text255 | None = None


class CreditIn(VerificationIn, frozen=True, kw_only=True):
    """Money to a card without an earlier payment."""

    amount: int | None = None
    transactionIntent: str | None = None
    fundingTransaction: dict[str, Any] | None = None
    acquirerData: dict[str, Any] | None = None


class AuthIn(CreditIn, frozen=True, kw_only=True):
    """An authorization, or a purchase with `settleWithAuth`."""

    settleWithAuth: bool = False
    preAuth: bool = False
    keywords: Annotated[list[Text255], Meta(max_length=10)] | None = None
    recipient: Recipient | None = None
    visaAdditionalAuthData: dict[str, Any] | None = None
    level2level3: dict[str, Any] | None = None
    level2Level3: dict[str, Any] | None = None
    splitpay: list[SplitPay] | None = None
    entryMode: Literal["MOTO", "CARD_PRESENT"] | None = None
    paymentFacilitator: dict[str, Any] | None = None
    airlineTravelDetails: dict[str, Any] | None = None
    masterPass: dict[str, Any] | None = None


class FollowUpIn(Part, frozen=True, kw_only=True):
    """A settlement, a void or a refund."""

    merchantRefNum: str | None = None
    amount: int | None = None
    dupCheck: bool = True
    splitpay: list[SplitPay] | None = None
    airlineTravelDetails: dict[str, Any] | None = None


class Search(Part, frozen=True, kw_only=True):
    """Which transactions to list."""

    merchantRefNum: str | None = None
    limit: int = 10
    offset: int = 0
    startDate: str | None = None
    endDate: str | None = None


# --- Customer Vault --------------------------------------------------------------------------------


class VaultAddress(Part, frozen=True, kw_only=True):
    """An address of a profile."""

    nickName: Text50 | None = None
    street: Text50 | None = None
    street2: Text50 | None = None
    city: Text40 | None = None
    state: Text40 | None = None
    country: Country
    zip: Text10
    recipientName: Text255 | None = None
    phone: Text40 | None = None
    defaultShippingAddressIndicator: bool = False


class VaultCard(Part, frozen=True, kw_only=True):
    """A card to keep: in the clear, or as a single-use token."""

    singleUseToken: Plain36 | None = None
    cardNum: Sensitive | None = None
    cardExpiry: Expiry | None = None
    holderName: Text160 | None = None
    nickName: Text50 | None = None
    merchantRefNum: Plain255 | None = None
    accountId: Plain36 | None = None
    billingAddressId: Plain36 | None = None
    billingAddress: VaultAddress | None = None
    defaultCardIndicator: bool | None = None


class SingleUseCard(Part, frozen=True, kw_only=True):
    """A card to be used once."""

    cardNum: Sensitive
    cardExpiry: Expiry
    cvv: Sensitive | None = None
    holderName: Text160 | None = None
    billingAddress: VaultAddress | None = None


class SingleUseIn(Part, frozen=True, kw_only=True):
    """A single-use token to make."""

    card: SingleUseCard


class Mandate(Part, frozen=True, kw_only=True):
    """A mandate by its reference."""

    reference: Annotated[str, Meta(min_length=1, max_length=35)]


class BankAccount(Part, frozen=True, kw_only=True):
    """A bank account of any scheme, in the clear or as a single-use token."""

    singleUseToken: Plain36 | None = None
    accountHolderName: Text80 | None = None
    accountNumber: Sensitive | None = None
    routingNumber: str | None = None
    accountType: Literal["CHECKING", "LOAN", "SAVINGS"] | None = None
    transitNumber: str | None = None
    institutionId: str | None = None
    sortCode: str | None = None
    iban: Sensitive | None = None
    bic: str | None = None
    nickName: Text50 | None = None
    merchantRefNum: Plain255 | None = None
    billingAddressId: Plain36 | None = None
    billingAddress: VaultAddress | None = None
    mandates: list[Mandate] | None = None


class BankSingleUseIn(Part, frozen=True, kw_only=True):
    """A single-use token for a bank account to make."""

    profile: Person | None = None
    achBankAccount: BankAccount | None = None
    eftBankAccount: BankAccount | None = None
    billingAddress: VaultAddress


class Profile(Part, frozen=True, kw_only=True):
    """A customer."""

    merchantCustomerId: Annotated[str, Meta(min_length=1, max_length=100)]
    locale: Locale | None = None
    status: Literal["INITIAL", "ACTIVE"] | None = None
    firstName: Text80 | None = None
    middleName: Text80 | None = None
    lastName: Text80 | None = None
    dateOfBirth: Date | None = None
    ip: Annotated[str, Meta(max_length=46)] | None = None
    gender: Literal["M", "F"] | None = None
    nationality: Annotated[str, Meta(max_length=30)] | None = None
    email: Plain255 | None = None
    phone: Text40 | None = None
    cellPhone: Text40 | None = None
    recipient: Recipient | None = None


class ProfileIn(Profile, frozen=True, kw_only=True):
    """A customer, with a card or a bank account if wanted."""

    card: VaultCard | None = None
    achBankAccount: BankAccount | None = None
    eftBankAccount: BankAccount | None = None


class ProfileQuery(Part, frozen=True, kw_only=True):
    """What to show of a profile, or which profile."""

    fields: str | None = None
    merchantCustomerId: str | None = None


class Nothing(Part, frozen=True, kw_only=True):
    """A body of which nothing is read."""


class TokenIn(Part, frozen=True, kw_only=True):
    """A single-use token to look at."""

    paymentToken: Plain80


class ApplePayIn(Part, frozen=True, kw_only=True):
    """What Apple Pay gave."""

    applePayPaymentToken: dict[str, Any]


class GooglePayIn(Part, frozen=True, kw_only=True):
    """What Google Pay gave."""

    googlePayPaymentToken: dict[str, Any]


# --- Direct Debit ----------------------------------------------------------------------------------


class Debit(Part, frozen=True, kw_only=True):
    """A bank account to debit or to credit: a token, or the account in the clear."""

    paymentToken: Plain80 | None = None
    payMethod: Literal["WEB", "TEL", "PPD", "CCD"] | None = None
    paymentDescriptor: Text40 | None = None
    accountHolderName: Text80 | None = None
    accountNumber: Sensitive | None = None
    routingNumber: str | None = None
    accountType: Literal["CHECKING", "LOAN", "SAVINGS"] | None = None
    transitNumber: str | None = None
    institutionId: str | None = None
    sortCode: str | None = None
    iban: Sensitive | None = None
    bic: str | None = None
    mandateReference: str | None = None
    replaceWithMultiUsePaymentToken: bool = False


class DebitIn(Part, frozen=True, kw_only=True):
    """A purchase or a standalone credit by bank account: exactly one scheme."""

    merchantRefNum: str | None = None
    amount: int | None = None
    customerIp: Plain39 | None = None
    dupCheck: bool = True
    ach: Debit | None = None
    eft: Debit | None = None
    bacs: Debit | None = None
    sepa: Debit | None = None
    profile: Person | None = None
    billingDetails: Address | None = None
    shippingDetails: Shipping | None = None
    splitpay: list[SplitPay] | None = None
    merchantCustomerId: Annotated[str, Meta(max_length=100)] | None = None


# --- 3-D Secure ------------------------------------------------------------------------------------


class ThreeDCard(Part, frozen=True, kw_only=True):
    """A card to authenticate."""

    paymentToken: Plain80 | None = None
    cardBin: str | None = None
    cardNum: Sensitive | None = None
    cardExpiry: Expiry | None = None
    holderName: Text160 | None = None
    type: str | None = None


class EnrollmentIn(Part, frozen=True, kw_only=True):
    """Whether a card takes part (version 1)."""

    merchantRefNum: str | None = None
    amount: int | None = None
    currency: str
    card: ThreeDCard
    customerIp: Plain39 | None = None
    userAgent: str | None = None
    acceptHeader: str | None = None
    merchantUrl: str | None = None


class AuthenticateIn(Part, frozen=True, kw_only=True):
    """What the access control server answered (version 1)."""

    merchantRefNum: str | None = None
    paRes: str
    customerIp: Plain39 | None = None


class AuthenticationQuery(Part, frozen=True, kw_only=True):
    """What to show with an authentication."""

    fields: str | None = None


class ThreeDSIn(Part, frozen=True, kw_only=True):
    """An authentication (version 2)."""

    merchantRefNum: str | None = None
    amount: int | None = None
    currency: str
    merchantUrl: str
    card: ThreeDCard
    authenticationPurpose: Literal[
        "PAYMENT_TRANSACTION",
        "RECURRING_TRANSACTION",
        "INSTALMENT_TRANSACTION",
        "ADD_CARD",
        "MAINTAIN_CARD",
        "EMV_TOKEN_VERIFICATION",
    ]
    deviceChannel: Literal["BROWSER", "SDK", "3RI"]
    messageCategory: Literal["PAYMENT", "NON_PAYMENT"]
    deviceFingerprintingId: Plain80 | None = None
    mcc: str | None = None
    merchantName: str | None = None
    transactionIntent: str | None = None
    requestorChallengePreference: (
        Literal["NO_PREFERENCE", "CHALLENGE_REQUESTED", "CHALLENGE_MANDATED"] | None
    ) = None
    maxAuthorizationsForInstalmentPayment: int | None = None
    billingCycle: dict[str, Any] | None = None
    initialPurchaseTime: str | None = None
    electronicDelivery: dict[str, Any] | None = None
    profile: dict[str, Any] | None = None
    billingDetails: dict[str, Any] | None = None
    shippingDetails: dict[str, Any] | None = None
    browserDetails: dict[str, Any] | None = None
    orderItemDetails: dict[str, Any] | None = None
    purchasedGiftCardDetails: dict[str, Any] | None = None
    userAccountDetails: dict[str, Any] | None = None


class JwtIn(Part, frozen=True, kw_only=True):
    """The beginning of an authentication in a browser or an app."""

    accountId: str
    card: ThreeDCard
    sdk: dict[str, Any] | None = None


class LogIn(Part, frozen=True, kw_only=True):
    """What a client wants to have noted."""

    eventType: str | None = None
    eventMessage: str | None = None
    sdk: dict[str, Any] | None = None


class FinalizeIn(Part, frozen=True, kw_only=True):
    """What the access control server answered (version 2)."""

    payload: str


class AcsIn(Part, frozen=True, kw_only=True):
    """The form that brings a browser to the access control server."""

    PaReq: str | None = None
    TermUrl: str | None = None
    MD: str | None = None
    creq: str | None = None
    payload: str | None = None
    threeDSSessionData: str | None = None
