"""Single-use tokens: cards, bank accounts and wallets, and a look at one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from farebox.dialects.dialect import Answer, Call, NoQuery
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.mapping.bank_accounts import read_account
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    address_of,
    billing_address,
    is_test,
    plain,
    present,
    read_card,
)
from farebox.dialects.paysafe.mapping.profiles import profile_body
from farebox.dialects.paysafe.mapping.tokens import is_spendable, left_s
from farebox.dialects.paysafe.mapping.vault import (
    Holdings,
    address_body,
    address_facts,
    card_body,
    holdings,
)
from farebox.dialects.paysafe.tables import card_category, card_type
from farebox.domain.cards import Card, Expiry, parse_pan
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.ids import uuid_of
from farebox.domain.instruments import InstrumentKind, PayerDetails
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import TokenState, TokenString
from farebox.services import commands

_WALLET_CARDS = {
    "VISA": "4111111111111111",
    "MASTERCARD": "5191330000004415",
    "AMEX": "370123456789017",
    "DISCOVER": "6011234567890123",
    "JCB": "3569990000000009",
}
"""Which published test card a wallet's network stands for: nobody but the network can open its token."""


def read_card_token(call: Call[wire.SingleUseIn, NoQuery]) -> commands.MintSingleUseToken:
    """Read a card to be used once."""
    card = call.body.card
    instrument = read_card(card.cardNum, card.cardExpiry, card.cvv, card.holderName, code="7508")
    if card.billingAddress is not None:
        address_facts(card.billingAddress)
    return commands.MintSingleUseToken(
        instrument, PayerDetails(card.holderName, billing_address(card.billingAddress))
    )


def _card(view: commands.SingleUseTokenView) -> Json:
    summary = view.token.summary
    return {
        "cardBin": summary.bin,
        "lastDigits": summary.last_four,
        **present(holderName=view.details.holder_name if view.details else None),
        "cardExpiry": {"year": summary.exp_year, "month": summary.exp_month},
        "cardType": card_type(summary) or "VI",
        "cardCategory": card_category(summary),
    }


def _head(view: commands.SingleUseTokenView) -> Json:
    return {
        "id": uuid_of(view.token.id),
        "paymentToken": view.string,
        "timeToLiveSeconds": left_s(view),
    }


def write_card_token(view: commands.SingleUseTokenView, call: Call[wire.SingleUseIn, NoQuery]) -> Answer:
    """Answer a single-use token for a card."""
    return Answer(
        {
            **_head(view),
            **present(billingAddress=plain(call.body.card.billingAddress)),
            "card": _card(view),
        }
    )


def read_search(call: Call[wire.TokenIn, NoQuery]) -> commands.LookAtSingleUseToken:
    """Read which token to look at."""
    return commands.LookAtSingleUseToken(TokenString(call.body.paymentToken))


def write_search(view: commands.SingleUseTokenView, call: AnyCall) -> Answer:
    """Show what a token stands for, without spending it.

    Raises:
        WireRefusal: 7514 for an expired one, 5502 for one that is spent.
    """
    if view.token.state is TokenState.EXPIRED:
        raise refusal("7514")
    if not is_spendable(view):
        raise refusal("5502")
    body = {**_head(view), "isFromMultiUseToken": "copy_of" in view.token.facts}
    if view.token.summary.kind is InstrumentKind.CARD:
        body["card"] = _card(view)
    address = address_of(view.details.billing_address if view.details else None)
    return Answer({**body, **present(billingAddress=address)})


# --- bank accounts ---------------------------------------------------------------------------------


def read_bank_token(call: Call[wire.BankSingleUseIn, NoQuery]) -> commands.MintSingleUseToken:
    """Read a bank account to be used once."""
    scheme = call.path.get("scheme") or _scheme(call)
    account = call.body.achBankAccount if scheme == "ach" else call.body.eftBankAccount
    if account is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param=f"{scheme}BankAccount")
    address = call.body.billingAddress
    for name in ("street", "city"):
        if getattr(address, name) is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param=f"billingAddress.{name}")
    address_facts(address)
    details = PayerDetails(account.accountHolderName, billing_address(address))
    return commands.MintSingleUseToken(
        read_account(scheme, account, call, code="7510"),
        details,
        facts=present(profile=plain(call.body.profile)),
    )


def _scheme(call: AnyCall) -> str:
    return "ach" if "/achsingleusetokens" in call.url else "eft"


def write_bank_token(view: commands.SingleUseTokenView, call: Call[wire.BankSingleUseIn, NoQuery]) -> Answer:
    """Answer a single-use token for a bank account."""
    body, summary = call.body, view.token.summary
    shown: Json = {
        **present(accountHolderName=view.details.holder_name if view.details else None),
        "lastDigits": summary.last_four[-2:],
    }
    if _scheme(call) == "ach":
        shown |= present(routingNumber=summary.bank, accountType=(summary.account_type or "checking").upper())
        key = "achBankAccount"
    else:
        institution, _, transit = (summary.bank or "-").partition("-")
        shown |= {"transitNumber": transit, "institutionId": institution}
        key = "eftBankAccount"
    return Answer(
        {
            **_head(view),
            **present(profile=plain(body.profile)),
            key: shown,
            "billingAddress": plain(body.billingAddress),
        }
    )


# --- a profile for a browser -----------------------------------------------------------------------


@frozen
class SingleUseProfile:
    """A profile, and a single-use token for each of its cards."""

    held: Holdings
    copies: Sequence[commands.SingleUseTokenView]


def read_profile_copy(call: Call[Any, NoQuery]) -> commands.Command[SingleUseProfile]:
    """Read whose cards a browser is to pay with, without holding their permanent tokens."""

    def copy(held: Holdings) -> commands.Command[SingleUseProfile]:
        ids = [view.token.id for view in held.of("card")]
        return commands.Mapped(commands.MintCopies(ids), lambda views: SingleUseProfile(held, views))

    return holdings(call, copy, with_addresses=True)


def write_profile_copy(found: SingleUseProfile, call: AnyCall) -> Answer:
    """Show a profile whose cards have tokens that work once."""
    held = found.held
    cards: list[Json] = []
    for view, copy in zip(held.of("card"), found.copies, strict=True):
        shown = card_body(view, held)
        cards.append(
            {
                **shown,
                "id": uuid_of(copy.token.id),
                "cardId": shown["id"],
                "paymentToken": copy.string,
                "timeToLiveSeconds": left_s(copy),
            }
        )
    body = profile_body(held.customer)
    lifetime = min((card["timeToLiveSeconds"] for card in cards), default=899)
    return Answer(
        {
            **body,
            "profileId": body["id"],
            # It pays nowhere: what pays are the tokens of its cards.
            "paymentToken": f"S{body['paymentToken']}",
            "timeToLiveSeconds": lifetime,
            "addresses": [address_body(one) for one in reversed(held.addresses)],
            "cards": cards,
        }
    )


# --- wallets ---------------------------------------------------------------------------------------


def read_apple_token(call: Call[wire.ApplePayIn, NoQuery]) -> commands.MintSingleUseToken:
    """Read what Apple Pay gave; only in test mode, because nobody but Apple's merchant can open it.

    Raises:
        WireRefusal: 7512 in live mode, 7513 for what has not the shape.
    """
    given = call.body.applePayPaymentToken
    token = _object(given.get("token"))
    data = _object(token.get("paymentData")) if token else given
    if not {"data", "signature", "header"} <= set(data):
        raise refusal("7513")
    network = _object(token.get("paymentMethod")).get("network")
    return _wallet(call, "apple", network)


def read_google_token(call: Call[wire.GooglePayIn, NoQuery]) -> commands.MintSingleUseToken:
    """Read what Google Pay gave; only in test mode, as `read_apple_token`."""
    given = call.body.googlePayPaymentToken
    method = _object(given.get("paymentMethodData"))
    if not (
        {"signature", "protocolVersion", "signedMessage"} <= set(given) or method.get("tokenizationData")
    ):
        raise refusal("5068", "googlePayPaymentToken", "is neither of the two shapes")
    return _wallet(call, "google", _object(method.get("info")).get("cardNetwork"))


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _wallet(call: AnyCall, wallet: str, network: Any) -> commands.MintSingleUseToken:
    if not is_test(call):
        raise refusal("7512")
    number = _WALLET_CARDS.get(str(network).upper(), _WALLET_CARDS["VISA"])
    card = Card(parse_pan(Sensitive(number)), Expiry(12, call.now.year + 3))
    return commands.MintSingleUseToken(card, facts={"wallet": wallet})


def write_wallet_token(key: str) -> Any:
    """Make the writer of a wallet's token."""

    def written(view: commands.SingleUseTokenView, call: AnyCall) -> Answer:
        given = getattr(call.body, key)
        echo = {name: value for name, value in given.items() if isinstance(value, str | int)}
        if key == "googlePayPaymentToken":
            echo["paymentMethod"] = "TOKENIZED_CARD"
        return Answer({**_head(view), key: echo, "card": {"status": "ACTIVE", **_card(view)}})

    return written
