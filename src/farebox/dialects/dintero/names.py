"""What Dintero calls things: ids, products, statuses, brands, why a card was declined.

Source: Dintero's API reference and guides; what is inferred is said at its table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from farebox.domain.declines import Advice, DeclineReason
from farebox.domain.ids import base58, id_of_uuid, parse_base58, uuid_number

# --- ids and instants ---------------------------------------------------------------------------------


def public_id(account_id: str, id_: str) -> str:
    """Write an id of ours as `{account}.{22 base58 characters}`, which sorts by time."""
    return f"{account_id}.{base58(uuid_number(id_))}"


def parse_public_id(text: str, account_id: str, prefix: str) -> str | None:
    """Read an id of this account back; nothing for another account's or any other text."""
    account, _, rest = text.partition(".")
    uuid = parse_base58(rest)
    return None if account != account_id or uuid is None else id_of_uuid(prefix, uuid)


def token_id(id_: str) -> str:
    """Write a stored token's id: 32 lower-case hexadecimal digits."""
    return f"{uuid_number(id_):032x}"


def parse_token_id(text: str) -> str | None:
    """Read a stored token's id back; nothing for any other text."""
    if len(text) != 32 or any(digit not in "0123456789abcdef" for digit in text):
        return None
    return id_of_uuid(TOKEN_PREFIX, int(text, 16))


TOKEN_PREFIX = "rt"
"""Every token of this dialect may be used without the customer: all are recurrence tokens of ours."""


def request_uuid(id_: str) -> str:
    """Write an id of ours as the UUID it is."""
    return str(UUID(int=uuid_number(id_)))


def instant(at: datetime) -> str:
    """Write an instant in UTC with milliseconds and `Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- products -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Product:
    """A card product: which processor's name it has, and what its tokens are called."""

    type: str
    recurring: str
    """The member under `customer.tokens` that a recurring charge needs."""
    unscheduled: str
    voids_remainder: bool = False
    """A partly captured payment may be voided for what is left."""

    @property
    def gateway(self) -> str:
        """Give the block that the product belongs to."""
        return self.type.partition(".")[0]

    @property
    def token_types(self) -> tuple[str, ...]:
        """List the members that its tokens may stand in."""
        return tuple(dict.fromkeys((self.unscheduled, self.recurring)))


PAYMENT_TOKEN, RECURRENCE_TOKEN = "payment_token", "recurrence_token"
PRODUCTS: Mapping[str, Product] = {
    product.type: product
    for product in (
        Product("payex.creditcard", RECURRENCE_TOKEN, PAYMENT_TOKEN, voids_remainder=True),
        Product("bambora.creditcard", PAYMENT_TOKEN, PAYMENT_TOKEN),
        Product("dintero_psp.creditcard", PAYMENT_TOKEN, PAYMENT_TOKEN),
    )
}
"""The card products, each a merchant account of its own at the gateway."""
UNSCHEDULED, RECURRING, TOKEN_ONLY = "unscheduled_purchase", "recurring_purchase", "generate_payment_token"

# --- cards ----------------------------------------------------------------------------------------------

BRANDS: Mapping[str, str] = {
    "visa": "Visa",
    "mastercard": "MasterCard",
    "amex": "Amex",
    "maestro": "Maestro",
    "diners": "Diners",
    "discover": "Discover",
    "jcb": "JCB",
    "unionpay": "UnionPay",
    "dankort": "Dankort",
}
"""As on transactions; a card token has the brand in lower case."""

# --- declines ---------------------------------------------------------------------------------------------

_KINDS: Mapping[DeclineReason, str] = {
    DeclineReason.INSUFFICIENT_FUNDS: "INSUFFICIENT_FUNDS",
    DeclineReason.LIMIT_EXCEEDED: "EXCEEDS_APPROVAL_LIMIT",
    DeclineReason.FREQUENCY_EXCEEDED: "EXCEEDS_WITHDRAWAL_FREQUENCY_LIMIT",
    DeclineReason.VELOCITY_EXCEEDED: "EXCEEDS_WITHDRAWAL_FREQUENCY_LIMIT",
    DeclineReason.RESTRICTED_CARD: "RESTRICTED_CARD",
    DeclineReason.NOT_PERMITTED: "RESTRICTED_CARD",
    DeclineReason.EXPIRED_CARD: "EXPIRED_CARD",
    DeclineReason.INCORRECT_EXPIRY: "EXPIRED_CARD",
    DeclineReason.CLOSED_ACCOUNT: "CLOSED_ACCOUNT",
    DeclineReason.NO_ACCOUNT: "CLOSED_ACCOUNT",
    DeclineReason.LIFECYCLE: "CLOSED_ACCOUNT",
    DeclineReason.LOST_CARD: "PICK_UP_CARD",
    DeclineReason.STOLEN_CARD: "PICK_UP_CARD",
    DeclineReason.PICKUP_CARD: "PICK_UP_CARD",
    DeclineReason.PIN_REQUIRED: "PIN_REQUIRED",
    DeclineReason.AUTHENTICATION_REQUIRED: "ADDITIONAL_VERIFICATION_REQUIRED",
    DeclineReason.AUTHENTICATION_FAILED: "FAILED_VERIFICATION",
    DeclineReason.INCORRECT_CVC: "FAILED_VERIFICATION",
    DeclineReason.INCORRECT_PIN: "FAILED_VERIFICATION",
    DeclineReason.INVALID_MERCHANT: "INVALID_MERCHANT",
    DeclineReason.INVALID_TRANSACTION: "INVALID_TRANSACTION",
    DeclineReason.INCORRECT_NUMBER: "INVALID_TRANSACTION",
    DeclineReason.INVALID_AMOUNT: "INVALID_AMOUNT",
    DeclineReason.ISSUER_UNAVAILABLE: "ISSUER_ERROR",
    DeclineReason.PROCESSOR_ERROR: "ERROR",
}


def decline_types(reason: DeclineReason) -> list[str]:
    """Name a decline in the words of `error.type`; every one is at least `DECLINED`."""
    kind = _KINDS.get(reason)
    return ["DECLINED"] if kind is None else ["DECLINED", kind]


_RETRY_CODES: Mapping[Advice, str] = {
    Advice.DO_NOT_RETRY: "DO_NOT_RETRY",
    Advice.RETRY_LATER: "RETRY_AFTER_DELAY",
    Advice.CORRECT_AND_RETRY: "RETRY_IMMEDIATELY",
    Advice.TRY_ANOTHER_INSTRUMENT: "DO_NOT_RETRY",
    Advice.AUTHENTICATE: "DO_NOT_RETRY",
    Advice.CONTACT_ISSUER: "DO_NOT_RETRY",
}
_RETRY_LATER = frozenset({DeclineReason.DO_NOT_HONOR, DeclineReason.OTHER})
"""The issuer gave no reason, so the networks let a merchant ask again."""


def retry_code(reason: DeclineReason, advice: Advice) -> str:
    """Say what a merchant may do alone: what needs another card or the cardholder is not repeated."""
    return "RETRY_AFTER_DELAY" if reason in _RETRY_LATER else _RETRY_CODES[advice]


RETRY_DELAY_DAYS = 3
"""After which a soft decline may be repeated [inferred]: the issuer's answer names no time."""

# --- errors of a redirect or a callback ---------------------------------------------------------------

CANCELLED, AUTHORIZATION, FAILED = "cancelled", "authorization", "failed"
