"""Card and bank verification, balances, BIN lookup, exchange rates; hosted-fields and Apple Pay sessions."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import cast

import msgspec

from farebox.dialects.dialect import Answer, Call, NoQuery, WireRefusal
from farebox.dialects.payroc.errors import CAPABILITIES_MISSING
from farebox.dialects.payroc.mapping.common import (
    AnyCall,
    at_terminal,
    created,
    facts_of,
    instant,
    plain,
    refuse,
    text,
)
from farebox.dialects.payroc.mapping.instruments import (
    brand_text,
    is_debit,
    masked_number,
    read_bank,
    read_card,
    read_wallet,
    write_card,
)
from farebox.dialects.payroc.mapping.results import payment_result
from farebox.dialects.payroc.mapping.tokens import look, payer_of, terminal_of
from farebox.dialects.payroc.wire import instruments as shapes
from farebox.dialects.payroc.wire import payments as wire
from farebox.dialects.payroc.wire import tokens as sessions
from farebox.domain.access import CredentialUse, Mode, Scope
from farebox.domain.card_brands import UNKNOWN, brand_table
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.instruments import InstrumentKind, InstrumentSummary, summary_of
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind, OperationState
from farebox.domain.tokens import TokenString
from farebox.services import commands
from farebox.services.commands import (
    AccessTokenView,
    Command,
    Give,
    PaymentView,
    SingleUseTokenView,
    StoredTokenView,
    Then,
)

TEST_BALANCES = {"cash": 10_000, "foodStamp": 5_000}
"""What every EBT card has in test mode, in minor units; ours, for nobody documents any."""
NO_RATES = "No exchange rates are configured."
_LIB_VERSION = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){3}")
_SESSION_S = 600
_APPLE_SESSION_MS = 300_000


# --- verification ----------------------------------------------------------------------------------


def read_verification(call: Call[wire.VerifyIn, NoQuery]) -> Command[PaymentView]:
    """Ask the issuer about a card, without money."""
    body = call.body
    read = read_card(body.card, "card", call.principal.tenant.mode)
    verify = commands.Pay(
        OperationKind.VERIFICATION,
        Money(0, "USD"),
        commands.FromInstrument(read.instrument, payer_of(plain(body.customer), read.holder_name)),
        facts={
            **read.facts,
            **facts_of(processingTerminalId=body.processing_terminal_id, operator=body.operator),
        },
    )
    return at_terminal(call, body.processing_terminal_id, verify)


def write_verification(view: PaymentView, call: Call[wire.VerifyIn, NoQuery]) -> wire.VerifyOut:
    """Show what the issuer says."""
    payment = view.payment
    result = payment_result(view)
    return wire.VerifyOut(
        operator=text(payment.facts, "operator"),
        processing_terminal_id=call.body.processing_terminal_id,
        card=write_card(payment.summary, payment.facts, payment.checks),
        verified=payment.state is OperationState.APPROVED,
        transaction_result=msgspec.structs.replace(result, type=None),
    )


def read_bank_verification(call: Call[wire.BankVerifyIn, NoQuery]) -> Command[PaymentView]:
    """Ask about a bank account, without money."""
    body = call.body
    read = read_bank(body.bank_account, "bankAccount", call.principal.tenant.mode)
    currency = "USD" if isinstance(body.bank_account, shapes.AchPayload) else "CAD"
    verify = commands.Pay(
        OperationKind.VERIFICATION,
        Money(0, currency),
        commands.FromInstrument(read.instrument),
        facts={**read.facts, **facts_of(processingTerminalId=body.processing_terminal_id)},
    )
    return at_terminal(call, body.processing_terminal_id, verify)


def write_bank_verification(view: PaymentView, call: Call[wire.BankVerifyIn, NoQuery]) -> wire.BankVerifyOut:
    """Show what is known of the account."""
    return wire.BankVerifyOut(
        processing_terminal_id=call.body.processing_terminal_id,
        verified=view.payment.state is OperationState.APPROVED,
    )


# --- balance ---------------------------------------------------------------------------------------


def read_balance(call: Call[wire.BalanceIn, NoQuery]) -> Command[wire.BalanceOut | SingleUseTokenView]:
    """Tell what an EBT card has left; a single-use token is used up."""
    body, card = call.body, call.body.card
    if call.principal.tenant.mode is Mode.LIVE:
        raise WireRefusal(CAPABILITIES_MISSING, param="processingTerminalId")
    if isinstance(card, shapes.CardPayload):
        read = read_card(card, "card", Mode.TEST)
        found = _balance(body, summary_of(read.instrument), dict(read.facts))
        return at_terminal(call, body.processing_terminal_id, Give(found))
    token = TokenString(card.token)

    def then(view: SingleUseTokenView | None) -> Command[wire.BalanceOut | SingleUseTokenView]:
        if view is not None and view.token.summary.kind is not InstrumentKind.CARD:
            raise InvalidRequest(ErrorCode.INSTRUMENT_UNSUPPORTED, param="card.token")
        consume: Command[SingleUseTokenView] = commands.ConsumeSingleUseToken(token)
        return cast("Command[wire.BalanceOut | SingleUseTokenView]", consume)

    return at_terminal(call, body.processing_terminal_id, Then(look(token), then))


def _balance(body: wire.BalanceIn, summary: InstrumentSummary, facts: dict[str, object]) -> wire.BalanceOut:
    category = text(facts, "ebt")
    wanted = [category] if category else list(TEST_BALANCES)
    shown = write_card(summary, facts)
    balances = [
        shapes.Balance(benefit_category=name, amount=TEST_BALANCES[name], currency=body.currency)
        for name in wanted
    ]
    return wire.BalanceOut(
        processing_terminal_id=body.processing_terminal_id,
        operator=body.operator,
        card=msgspec.structs.replace(shown, balances=balances),
        response_code="A",
        response_message="APPROVAL",
    )


def write_balance(
    result: wire.BalanceOut | SingleUseTokenView, call: Call[wire.BalanceIn, NoQuery]
) -> wire.BalanceOut:
    """Show what is left."""
    if isinstance(result, wire.BalanceOut):
        return result
    card = call.body.card
    ebt = card.ebt_details if isinstance(card, shapes.SingleUseTokenPayload) else None
    facts = {**result.token.facts, **facts_of(ebt=ebt.benefit_category if ebt else None)}
    return _balance(call.body, result.token.summary, facts)


def write_as_it_is(result: msgspec.Struct, call: AnyCall) -> msgspec.Struct:
    """Answer what the reader made."""
    return result


# --- lookups ---------------------------------------------------------------------------------------


def read_bin_lookup(call: Call[wire.BinLookupIn, NoQuery]) -> Command[shapes.CardInfo]:
    """Tell a card's brand by its first digits."""
    body = call.body
    lookup = _card_info(call, body.card, "card")
    terminal = body.processing_terminal_id
    return lookup if terminal is None else at_terminal(call, terminal, lookup)


def _card_info(
    call: AnyCall,
    card: shapes.CardPayload | shapes.BinPayload | shapes.SecureTokenPayload | shapes.WalletPayload,
    place: str,
) -> Command[shapes.CardInfo]:
    mode = call.principal.tenant.mode
    match card:
        case shapes.BinPayload():
            return Give(_info_of_bin(card.bin))
        case shapes.CardPayload():
            return Give(_info(summary_of(read_card(card, place, mode, needs_expiry=False).instrument)))
        case shapes.WalletPayload():
            return Give(_info(summary_of(read_wallet(card, place, mode).instrument)))
        case shapes.SecureTokenPayload():
            return Then(commands.GetStoredToken(card.token), _info_of_token)


def _info_of_token(view: StoredTokenView) -> Command[shapes.CardInfo]:
    if view.token.summary.kind is not InstrumentKind.CARD:
        raise InvalidRequest(ErrorCode.INSTRUMENT_UNSUPPORTED, param="card.token")
    return Give(_info(view.token.summary))


def _info(summary: InstrumentSummary) -> shapes.CardInfo:
    return shapes.CardInfo(
        type=brand_text(summary.brand), card_number=masked_number(summary), debit=is_debit(summary)
    )


def _info_of_bin(digits: str) -> shapes.CardInfo:
    by_length = brand_table().brands_by_length(digits.ljust(8, "0"))
    brands = [brand for found in by_length.values() for brand in found]
    return shapes.CardInfo(
        type=brand_text(brands[0].id if brands else UNKNOWN), card_number=f"{digits[:6]}******"
    )


def read_fx_rate(call: Call[wire.FxRateIn, NoQuery]) -> Command[wire.FxRateOut]:
    """Tell whether the holder may pay in the card's own currency: without rates, never."""
    body = call.body

    def then(info: shapes.CardInfo) -> Command[wire.FxRateOut]:
        return Give(
            wire.FxRateOut(
                processing_terminal_id=body.processing_terminal_id,
                operator=body.operator,
                base_amount=body.base_amount,
                base_currency=body.base_currency,
                inquiry_result=wire.InquiryResult(dcc_offered=False, cause_of_rejection=NO_RATES),
                card_info=info,
            )
        )

    inquiry: Command[wire.FxRateOut] = Then(_card_info(call, body.payment_method, "paymentMethod"), then)
    return at_terminal(call, body.processing_terminal_id, inquiry)


# --- sessions --------------------------------------------------------------------------------------


def read_hosted_fields(call: Call[sessions.HostedFieldsIn, NoQuery]) -> Command[AccessTokenView]:
    """Open a session for a page with hosted fields: it may mint and do nothing else."""
    body, terminal = call.body, terminal_of(call)
    if not _LIB_VERSION.fullmatch(body.lib_version):
        raise refuse("libVersion", "Invalid libVersion.")
    attributes = {"processing_terminal_id": terminal, "hosted_fields": body.scenario}

    def issue(token: StoredTokenView | None) -> Command[AccessTokenView]:
        more = {"secure_token": token.token.id} if token else {}
        return commands.IssueAccessToken(
            _SESSION_S,
            attributes={**attributes, **more},
            use=CredentialUse.VISITOR,
            scopes=frozenset({Scope.TOKENS_MINT}),
        )

    if body.secure_token_id is None:
        return at_terminal(call, terminal, issue(None))
    found = commands.GetStoredToken(body.secure_token_id, by_name=True)
    return at_terminal(call, terminal, Then(found, issue))


def write_hosted_fields(view: AccessTokenView, call: Call[sessions.HostedFieldsIn, NoQuery]) -> Answer:
    """Show the session's token, once."""
    body = sessions.HostedFieldsOut(
        processing_terminal_id=terminal_of(call), token=view.string, expires_at=instant(view.expires_at)
    )
    return created(body, f"{call.url}/{view.string}")


def read_apple_pay(call: Call[sessions.ApplePayIn, NoQuery]) -> Command[sessions.ApplePayOut]:
    """Make a merchant session like Apple's; in live mode only Apple can."""
    if call.principal.tenant.mode is Mode.LIVE:
        raise WireRefusal(CAPABILITIES_MISSING, param="processingTerminalId")
    now_ms = int(call.now.timestamp() * 1000)
    seed = f"{call.body.apple_domain_id} {call.body.apple_validation_url} {now_ms}".encode()
    session = {
        "epochTimestamp": now_ms,
        "expiresAt": now_ms + _APPLE_SESSION_MS,
        "merchantSessionIdentifier": f"SSH{sha256(seed).hexdigest().upper()}",
        "nonce": sha256(b"nonce " + seed).hexdigest()[:8],
        "merchantIdentifier": sha256(call.body.apple_domain_id.encode()).hexdigest().upper(),
        "domainName": "localhost",
        "displayName": "Farebox test mode",
        "signature": sha256(b"signature " + seed).hexdigest(),
    }
    out = sessions.ApplePayOut(start_session_response=msgspec.json.encode(session).decode())
    return at_terminal(call, terminal_of(call), Give(out))
