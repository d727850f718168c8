"""Bearer tokens, single-use tokens and secure tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.payroc.mapping.common import (
    AnyCall,
    at,
    at_terminal,
    created,
    custom_fields,
    facts_of,
    instant,
    no_content,
    plain,
    text,
)
from farebox.dialects.payroc.mapping.instruments import (
    ReadInstrument,
    customer_name,
    holder_name_of,
    read_bank,
    read_card,
    write_source,
)
from farebox.dialects.payroc.paging import check_cursors, limit_of, scan, write_page
from farebox.dialects.payroc.patching import patched
from farebox.dialects.payroc.wire import instruments as shapes
from farebox.dialects.payroc.wire import tokens as wire
from farebox.dialects.payroc.wire.common import Anything, PageOut, PatchOperation, TokenOut
from farebox.domain.access import Mode
from farebox.domain.bank_accounts import AchAccount, PadAccount, parse_pad
from farebox.domain.cards import Card, parse_expiry
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.instruments import BillingAddress, PayerDetails, PaymentInstrument
from farebox.domain.tokens import StoredTokenKind, TokenString
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import (
    AccessTokenView,
    Attempt,
    Command,
    Give,
    SingleUseTokenView,
    StoredTokenView,
    Then,
)

_FIXED = (
    "/processingTerminalId",
    "/secureTokenId",
    "/type",
    "/token",
    "/status",
    "/source/type",
    "/source/cardNumber",
    "/source/cardType",
    "/source/currency",
    "/source/debit",
    "/source/surcharging",
    "/source/accountNumber",
    "/source/routingNumber",
    "/source/transitNumber",
)
"""Source: Payroc API reference, Partially update secure token."""


def read_authorize(call: Call[Anything, NoQuery]) -> Command[AccessTokenView]:
    """Exchange a key for a bearer token."""
    return commands.IssueAccessToken()


def write_token(view: AccessTokenView, call: Call[Anything, NoQuery]) -> TokenOut:
    """Show the bearer token, once."""
    return TokenOut(
        access_token=view.string,
        token_type="Bearer",
        expires_in=view.lifetime_s,
        scope=" ".join(sorted(view.scopes)),
    )


def terminal_of(call: AnyCall) -> str:
    """Give the terminal that the path names."""
    return call.path["processingTerminalId"]


def read_instrument(
    source: shapes.CardPayload | shapes.AchPayload | shapes.PadPayload, place: str, mode: Mode
) -> ReadInstrument:
    """Read a card or a bank account."""
    if isinstance(source, shapes.CardPayload):
        return read_card(source, place, mode)
    return read_bank(source, place, mode)


def payer_of(customer: Mapping[str, Any] | None, holder_name: str | None) -> PayerDetails:
    """Give what an issuer compares: the name and the billing address."""
    address: Mapping[str, Any] | None = (customer or {}).get("billingAddress")
    if address is None:
        return PayerDetails(holder_name)
    return PayerDetails(
        holder_name,
        BillingAddress(
            line1=text(address, "address1"),
            line2=text(address, "address2"),
            city=text(address, "city"),
            state=text(address, "state"),
            postal_code=text(address, "postalCode"),
            country=text(address, "country"),
        ),
    )


# --- single-use tokens -----------------------------------------------------------------------------


def read_single_use_token(call: Call[wire.SingleUseTokenIn, NoQuery]) -> Command[SingleUseTokenView]:
    """Seal a card or a bank account for one use."""
    body, terminal = call.body, terminal_of(call)
    read = read_instrument(body.source, "source", call.principal.tenant.mode)
    mint = commands.MintSingleUseToken(
        read.instrument,
        PayerDetails(read.holder_name),
        facts={
            **read.facts,
            **facts_of(processingTerminalId=terminal, operator=body.operator, channel=body.channel),
        },
    )
    return at_terminal(call, terminal, mint)


def write_single_use_token(view: SingleUseTokenView, call: Call[wire.SingleUseTokenIn, NoQuery]) -> Answer:
    """Show the token and its source, masked."""
    facts = view.token.facts
    body = wire.SingleUseTokenOut(
        processing_terminal_id=terminal_of(call),
        operator=text(facts, "operator"),
        token=view.string,
        expires_at=instant(view.token.expires_at),
        source=write_source(view.token.summary, facts, with_account_type=False),
    )
    return created(body, f"{call.url}/{view.string}")


def look(token: str) -> Command[SingleUseTokenView | None]:
    """Look at a single-use token; nothing when there is none."""
    return Attempt(commands.LookAtSingleUseToken(TokenString(token)))


# --- secure tokens ---------------------------------------------------------------------------------


def generated_name(call: AnyCall) -> str:
    """Name a secure token that its merchant does not name: by the request's own UUID."""
    return f"MREF_{call.headers.get(b'idempotency-key', b'').decode('latin-1').strip().lower()}"


def secure_token_facts(
    terminal: str,
    *,
    instrument: Mapping[str, Any],
    mit_agreement: str | None,
    customer: Any,
    fields: list[dict[str, str]] | None,
    operator: str | None,
) -> dict[str, Any]:
    """Give what is kept with a secure token."""
    return {
        **{name: value for name, value in instrument.items() if name not in {"channel", "ebt"}},
        **facts_of(
            processingTerminalId=terminal,
            mitAgreement=mit_agreement or "unscheduled",
            customer=customer,
            customFields=fields,
            operator=operator,
            status="notValidated",
        ),
    }


def read_secure_token_in(call: Call[wire.SecureTokenIn, NoQuery]) -> Command[StoredTokenView]:
    """Store a card, a bank account, or what a single-use token stands for."""
    body, terminal = call.body, terminal_of(call)
    source = body.source

    def store(
        from_: commands.FromSingleUseToken | commands.FromInstrument, instrument: Mapping[str, Any]
    ) -> Command[StoredTokenView]:
        return commands.StoreCredential(
            from_,
            name=body.secure_token_id or generated_name(call),
            facts=secure_token_facts(
                terminal,
                instrument=instrument,
                mit_agreement=body.mit_agreement,
                customer=plain(body.customer),
                fields=custom_fields(body.custom_fields),
                operator=body.operator,
            ),
        )

    if isinstance(source, shapes.SingleUseTokenPayload):
        token = source.token
        extra = facts_of(accountType=source.account_type, secCode=source.sec_code)

        def then(view: SingleUseTokenView | None) -> Command[StoredTokenView]:
            kept: Mapping[str, Any] = view.token.facts if view else {}
            return store(commands.FromSingleUseToken(TokenString(token)), {**kept, **extra})

        return at_terminal(call, terminal, Then(look(token), then))
    read = read_instrument(source, "source", call.principal.tenant.mode)
    details = payer_of(plain(body.customer), read.holder_name)
    return at_terminal(call, terminal, store(commands.FromInstrument(read.instrument, details), read.facts))


def _secure_token_out(view: StoredTokenView, *, with_account_type: bool) -> wire.SecureTokenOut:
    token = view.token
    facts: Mapping[str, Any] = token.facts
    return wire.SecureTokenOut(
        secure_token_id=token.name or "",
        processing_terminal_id=text(facts, "processingTerminalId") or "",
        mit_agreement=text(facts, "mitAgreement"),
        customer=facts.get("customer"),
        source=write_source(token.summary, facts, with_account_type=with_account_type),
        token=token.shown_string or "",
        status=text(facts, "status") or "notValidated",
        custom_fields=facts.get("customFields"),
    )


def write_new_secure_token(view: StoredTokenView, call: Call[wire.SecureTokenIn, NoQuery]) -> Answer:
    """Show a new secure token."""
    return created(_secure_token_out(view, with_account_type=False), f"{call.url}/{view.token.name}")


def write_changed_secure_token(view: StoredTokenView, call: AnyCall) -> wire.SecureTokenOut:
    """Show a changed secure token."""
    return _secure_token_out(view, with_account_type=False)


def write_secure_token(view: StoredTokenView, call: Call[NoBody, NoQuery]) -> wire.SecureTokenOut:
    """Show a secure token with its account type."""
    return _secure_token_out(view, with_account_type=True)


def read_secure_token(call: Call[NoBody, NoQuery]) -> Command[StoredTokenView]:
    """Show one."""
    return at_terminal(call, terminal_of(call), named(call))


def named(call: AnyCall) -> Command[StoredTokenView]:
    """Find the secure token that the path names."""
    return commands.GetStoredToken(call.path["secureTokenId"], by_name=True)


def _is_ours(view: StoredTokenView) -> bool:
    return view.token.name is not None and view.token.shown_string is not None


def read_secure_tokens(call: Call[NoBody, wire.SecureTokenQuery]) -> Command[Page[StoredTokenView]]:
    """List them; cursors are the merchant's own ids."""
    query = call.query
    after, before = check_cursors(query)

    def list_(request: PageRequest) -> Command[Page[StoredTokenView]]:
        kind = {"kind": StoredTokenKind.PAYMENT_TOKEN.value}
        return commands.ListStoredTokens(replace(request, filters=kind))

    def at_cursor(found: StoredTokenView | None) -> Command[Page[StoredTokenView]]:
        if found is None and (after is not None or before is not None):
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="after" if after else "before")
        edge = found.token.id if found else None
        request = PageRequest(limit_of(query), edge if after else None, edge if before else None)
        return scan(list_, request, _keeps(query), lambda view: view.token.id)

    cursor = after or before
    first: Command[StoredTokenView | None] = Give(None)
    if cursor is not None:
        first = Attempt(commands.GetStoredToken(cursor, by_name=True))
    return at_terminal(call, terminal_of(call), Then(first, at_cursor))


def _keeps(query: wire.SecureTokenQuery) -> Callable[[StoredTokenView], bool]:
    """Make the filter of a list."""

    def keeps(view: StoredTokenView) -> bool:
        if not _is_ours(view):
            return False
        token = view.token
        customer: Any = token.facts.get("customer") or {}
        full_name = f"{customer.get('firstName', '')} {customer.get('lastName', '')}".strip()
        contacts = [(one["type"], one["value"]) for one in customer.get("contactMethods", [])]
        checks = (
            (query.secure_token_id, (token.name,)),
            (query.token, (token.shown_string,)),
            (query.first6, ((token.summary.bin or "")[:6],)),
            (query.last4, (token.summary.last_four,)),
            (query.customer_name, (customer_name(token.facts), full_name)),
            (query.email, tuple(value for kind, value in contacts if kind == "email")),
            (query.phone, tuple(value for kind, value in contacts if kind in {"phone", "mobile"})),
        )
        return all(wanted is None or wanted in found for wanted, found in checks)

    return keeps


def write_secure_tokens(
    page: Page[StoredTokenView], call: Call[NoBody, wire.SecureTokenQuery]
) -> PageOut[wire.SecureTokenOut]:
    """Show a page of them."""
    return write_page(
        page,
        call,
        lambda view: _secure_token_out(view, with_account_type=True),
        lambda view: view.token.name or "",
    )


def read_secure_token_patch(call: Call[list[PatchOperation], NoQuery]) -> Command[StoredTokenView]:
    """Change what may be changed of a secure token."""

    def then(view: StoredTokenView) -> Command[StoredTokenView]:
        shown = msgspec.to_builtins(_secure_token_out(view, with_account_type=True))
        result = patched(shown, call.body, wire.PatchedSecureToken, fixed=_FIXED)
        kept = {
            name: value
            for name, value in view.token.facts.items()
            if name not in {"mitAgreement", "customer", "customFields", "cardholderName", "nameOnAccount"}
        }
        source = result.source
        facts = {
            **kept,
            **facts_of(
                mitAgreement=result.mit_agreement,
                customer=plain(result.customer),
                customFields=custom_fields(result.custom_fields),
                cardholderName=source.cardholder_name or None,
                nameOnAccount=source.name_on_account,
                accountType=source.account_type,
                secCode=source.sec_code,
            ),
        }
        return commands.UpdateStoredToken(
            view.token.id, version=view.token.version, facts=facts, change=_change(source)
        )

    return at_terminal(call, terminal_of(call), Then(named(call), then))


def _change(
    source: wire.PatchedSource,
) -> Callable[[PaymentInstrument, PayerDetails], tuple[PaymentInstrument, PayerDetails]]:
    """Make the change of what is sealed."""

    def change(
        instrument: PaymentInstrument, details: PayerDetails
    ) -> tuple[PaymentInstrument, PayerDetails]:
        with at("source"):
            changed = _changed(instrument, source)
        return changed, replace(details, holder_name=holder_name_of(changed))

    return change


def _changed(instrument: PaymentInstrument, source: wire.PatchedSource) -> PaymentInstrument:
    match instrument:
        case Card():
            expiry = instrument.expiry
            if source.expiry_date is not None:
                expiry = parse_expiry(int(source.expiry_date[:2]), int(source.expiry_date[2:]))
            return replace(instrument, expiry=expiry, holder_name=source.cardholder_name or None)
        case AchAccount():
            return replace(
                instrument,
                holder_name=source.name_on_account,
                account_type=source.account_type or instrument.account_type,
                sec_code=(source.sec_code or instrument.sec_code).upper(),
            )
        case PadAccount():
            return parse_pad(
                institution_number=source.institution_number or instrument.institution_number,
                transit_number=instrument.transit_number,
                account_number=instrument.account_number,
                holder_name=source.name_on_account,
            )
        case _:
            return instrument


def read_account_update(call: Call[wire.AccountUpdateIn, NoQuery]) -> Command[StoredTokenView]:
    """Put what a single-use token stands for in the place of what a secure token stands for."""
    string = TokenString(call.body.token)

    def then(view: StoredTokenView) -> Command[StoredTokenView]:
        def with_source(source: SingleUseTokenView | None) -> Command[StoredTokenView]:
            named_before = {"cardholderName", "nameOnAccount", "entryMethod", "accountType", "secCode"}
            kept = {name: value for name, value in view.token.facts.items() if name not in named_before}
            found: Mapping[str, Any] = source.token.facts if source else {}
            new = {name: value for name, value in found.items() if name in named_before}
            return commands.UpdateStoredToken(
                view.token.id,
                version=view.token.version,
                facts={**kept, **new},
                source=commands.FromSingleUseToken(string),
            )

        return Then(look(string), with_source)

    return at_terminal(call, terminal_of(call), Then(named(call), then))


def read_secure_token_deletion(call: Call[NoBody, NoQuery]) -> Command[StoredTokenView]:
    """Erase a secure token; its id is not given again."""
    delete: Command[StoredTokenView] = Then(
        named(call), lambda view: commands.DeleteStoredToken(view.token.id)
    )
    return at_terminal(call, terminal_of(call), delete)


def write_nothing(result: object, call: AnyCall) -> Answer:
    """Answer without a body."""
    return no_content()
