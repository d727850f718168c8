"""Checkout sessions: made from a profile or a configuration, changed, cancelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from farebox.dialects.dialect import Call
from farebox.dialects.dintero import configuration as configurations
from farebox.dialects.dintero import profiles, wire
from farebox.dialects.dintero.names import (
    PRODUCTS,
    TOKEN_ONLY,
    Product,
    public_id,
    token_id,
)
from farebox.dialects.dintero.reading import (
    callback_of,
    instant_in,
    invalid,
    minor,
    missing,
    object_of,
    objects_of,
    system_headers,
    text,
    text_of,
    toggles,
    without_empty,
)
from farebox.dialects.dintero.session_views import (
    CONFIGURATION,
    EXPRESS,
    MERCHANT,
    TOKENS,
    own,
    session_id_of,
)
from farebox.dialects.dintero.transactions import (
    ACCOUNT,
    CHANNEL,
    CHECKBOXES,
    CREATED_BY,
    CUSTOMER,
    HEADERS,
    METADATA,
    OPERATION,
    ORDER,
    PRODUCT,
    PROFILE,
    URL,
    account_of,
)
from farebox.domain.checkout import (
    CheckoutTerms,
    OrderLine,
    SaveTerms,
)
from farebox.domain.facts import Facts
from farebox.domain.operations import OperationKind
from farebox.domain.tokens import StoredTokenState, TokenString
from farebox.services import commands
from farebox.services.commands import CheckoutSessionView, StoredTokenView

AnyCall = Call[Any, Any]
STRICT_AMOUNTS = "strict-session-amounts"
DESCRIPTION_LENGTH_MAX = 200

# --- reading what a session is made of -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Draft:
    """What a request says of a session, beside its configuration."""

    facts: Facts
    currency: str
    amount_minor: int
    reference: str
    expires_at: str | None
    tokens: Mapping[str, wire.TokenOfIn]
    """By product, as they came: bearer secrets that are never kept."""


def order_in(order: wire.OrderIn) -> Facts:
    """Keep an order with its amounts as whole numbers."""
    found = wire.kept(order)
    for name in ("amount", "vat_amount"):
        if name in found:
            found[name] = minor(found[name], f"order.{name}")
    for name in ("merchant_reference", "merchant_reference_2"):
        if name in found:
            found[name] = str(found[name])
    for name in ("shipping_address", "billing_address", "shipping_option", "store"):
        if name in found and not isinstance(found[name], Mapping):
            del found[name]
    if "items" in found:
        found["items"] = [
            _with_whole_amounts(one, f"order.items[{number}]") for number, one in enumerate(found["items"])
        ]
    if "shipping_option" in found:
        found["shipping_option"] = _with_whole_amounts(found["shipping_option"], "order.shipping_option")
    return found


def _with_whole_amounts(line: Facts, place: str) -> Facts:
    found = dict(line)
    for name in ("amount", "vat_amount"):
        value = found.get(name)
        if isinstance(value, float):
            found[name] = minor(abs(value), f"{place}.{name}") * (1 if value >= 0 else -1)
    return found


def draft(body: wire.SessionIn, call: AnyCall, *, needs_amount: bool = True, prefix: str = "") -> Draft:
    """Read what a session is made of.

    Raises:
        WireRefusal: naming every required field that is missing.
    """
    order = body.order or wire.OrderIn()
    required: dict[str, object] = {
        "order.currency": order.currency,
        "order.merchant_reference": order.merchant_reference,
    }
    if needs_amount:
        required = {"order.amount": order.amount, **required}
    absent = [f"{prefix}{name}" for name, value in required.items() if value in (None, "")]
    if absent:
        raise missing(*absent)
    kept = order_in(order)
    customer = body.customer if isinstance(body.customer, wire.CustomerIn) else wire.CustomerIn()
    tokens = customer.tokens if isinstance(customer.tokens, wire.TokensIn) else wire.TokensIn()
    by_product = {
        "payex.creditcard": tokens.payex,
        "bambora.creditcard": tokens.bambora,
        "dintero_psp.creditcard": tokens.dintero_psp,
    }
    facts = without_empty(
        {
            ORDER: {**kept, "partial_payment": kept.get("partial_payment", False)},
            URL: wire.kept(body.url) if body.url else {},
            CUSTOMER: _customer(customer),
            EXPRESS: dict(wire.members(body.express)),
            MERCHANT: dict(wire.members(body.merchant)),
            CHECKBOXES: list(body.checkboxes or ()),
            METADATA: dict(wire.members(body.metadata)),
            HEADERS: dict(system_headers(call.headers)),
            CREATED_BY: call.principal.attribute("client_id"),
            ACCOUNT: account_of(call),
        }
    )
    _check_amounts(kept, call)
    return Draft(
        facts=facts,
        currency=order.currency or "",
        amount_minor=amount_of(kept) if needs_amount else 0,
        reference=text(order.merchant_reference) or "",
        expires_at=body.expires_at,
        tokens={name: one for name, one in by_product.items() if one is not None},
    )


def _customer(customer: wire.CustomerIn) -> Facts:
    found = wire.kept(customer)
    found.pop("tokens", None)
    return {name: str(value) for name, value in found.items()}


def amount_of(order: Facts) -> int:
    """Give the amount of an order that `order_in` gave."""
    amount = order.get("amount")
    return amount if isinstance(amount, int) else 0


def total(order: Facts) -> int:
    """Add the lines and the shipping up, as far as they have amounts."""
    lines = [*objects_of(order, "items"), object_of(order, "shipping_option")]
    amounts = (line.get("amount") for line in lines)
    return sum(amount for amount in amounts if isinstance(amount, int))


def _check_amounts(order: Facts, call: AnyCall) -> None:
    """Where the caller asks for it, refuse an order whose lines do not add up to it."""
    if STRICT_AMOUNTS in toggles(call.headers) and total(order) != order.get("amount"):
        raise invalid("order.amount", "must be the sum of the items and the shipping option")


def lines_of(order: Facts) -> tuple[OrderLine, ...]:
    """Give the lines of an order for the page."""
    found = [_line(one) for one in objects_of(order, "items")]
    shipping = object_of(order, "shipping_option")
    if shipping:
        found.append(_line({**shipping, "description": text_of(shipping, "title")}))
    return tuple(found)


def _line(line: Facts) -> OrderLine:
    amount, tax, quantity = line.get("amount"), line.get("vat_amount"), line.get("quantity")
    name = text_of(line, "description") or text_of(line, "id") or text_of(line, "line_id") or ""
    return OrderLine(
        description=name[:DESCRIPTION_LENGTH_MAX],
        amount_minor=amount if isinstance(amount, int) else 0,
        quantity=Decimal(str(quantity)) if isinstance(quantity, int | float) else Decimal(1),
        reference=text_of(line, "line_id"),
        tax_minor=tax if isinstance(tax, int) else None,
    )


def payment_facts(facts: Facts) -> Facts:
    """Give what a session's payment keeps for its transaction: all but what only its page needs."""
    return {name: value for name, value in facts.items() if name not in {CONFIGURATION, EXPRESS, TOKENS}}


# --- creating -----------------------------------------------------------------------------------------------


def read_from_profile(
    call: Call[wire.SessionIn, wire.CreateQuery],
) -> commands.Command[CheckoutSessionView]:
    """Read a session to be made from a profile, over which the request's configuration is laid."""
    body = call.body
    if not body.profile_id:
        raise missing("profile_id")
    return _from_profile(body, body.profile_id, call)


def read_from_configuration(
    call: Call[wire.SessionIn, wire.CreateQuery],
) -> commands.Command[CheckoutSessionView]:
    """Read a session with a configuration of its own."""
    body = call.body
    if body.configuration is None:
        if body.profile_id:
            return _from_profile(body, body.profile_id, call)
        raise missing("configuration")
    return _create(body, wire.members(body.configuration), None, call)


def _from_profile(
    body: wire.SessionIn, profile_id: str, call: AnyCall
) -> commands.Command[CheckoutSessionView]:
    def create(profile: profiles.Profile | None) -> commands.Command[CheckoutSessionView]:
        if profile is None:
            raise invalid("profile_id", "names no profile of this account")
        return _create(body, wire.members(body.configuration), profile, call)

    return commands.Then(profiles.find(profile_id, account_of(call)), create)


def _create(
    body: wire.SessionIn, own: Facts, profile: profiles.Profile | None, call: AnyCall
) -> commands.Command[CheckoutSessionView]:
    found = draft(body, call)
    if body.url is None or not body.url.return_url:
        raise missing("url.return_url")
    facts = dict(found.facts)
    configuration = own
    if profile is not None:
        configuration = configurations.laid_over(object_of(profile.facts, CONFIGURATION), own)
        facts = _with_profile(facts, profile)
    configurations.check(configuration, object_of(facts, ORDER))
    facts |= {CONFIGURATION: configuration, CHANNEL: text_of(configuration, CHANNEL) or "ecommerce"}

    def create(token: StoredTokenView | None, string: str | None) -> commands.Command[CheckoutSessionView]:
        offered = text_of(token.token.facts, PRODUCT) if token else None
        product = configurations.card_product(configuration, offered)
        if product is None or product.type != offered:
            token = string = None
        return _command(found, _with_product(facts, product, token), product, string, call)

    return _with_token(found, configuration, create)


def _with_profile(facts: Facts, profile: profiles.Profile) -> dict[str, object]:
    """Add what a profile gives a session beside its configuration; the request's own comes first."""
    merged: dict[str, object] = {**facts, PROFILE: profile.id}
    for name in (MERCHANT, CHECKBOXES):
        if name not in merged and name in profile.facts:
            merged[name] = profile.facts[name]
    merged[URL] = {**object_of(profile.facts, URL), **object_of(facts, URL)}
    return merged


def _with_token(
    found: Draft,
    configuration: Facts,
    then: Callable[[StoredTokenView | None, str | None], commands.Command[CheckoutSessionView]],
) -> commands.Command[CheckoutSessionView]:
    """Look for the stored card that the request offers; one that is not there leaves the ordinary form.

    A token has an effect only where its product is enabled.
    """
    for product in configurations.enabled(configuration):
        given = found.tokens.get(product.type)
        string = (given.payment_token or given.recurrence_token) if given else None
        if string:
            return _look_up(string, product, then)
    return then(None, None)


def _look_up(
    string: str,
    product: Product,
    then: Callable[[StoredTokenView | None, str | None], commands.Command[CheckoutSessionView]],
) -> commands.Command[CheckoutSessionView]:
    def found(view: StoredTokenView | None) -> commands.Command[CheckoutSessionView]:
        is_usable = (
            view is not None
            and view.token.state is StoredTokenState.ACTIVE
            and text_of(view.token.facts, PRODUCT) == product.type
            and view.token.id != string
        )
        return then(view, string) if is_usable else then(None, None)

    return commands.Then(commands.Attempt(commands.GetStoredToken(string)), found)


def _with_product(facts: Facts, product: Product | None, token: StoredTokenView | None) -> Facts:
    found: dict[str, object] = {**facts, PRODUCT: product.type if product else "dintero_psp.creditcard"}
    if token is not None and product is not None:
        type_ = text_of(token.token.facts, "type") or "payment_token"
        found[TOKENS] = {product.type: {f"{type_}_id": token_id(token.token.id)}}
        found["token_type"] = type_
    return found


def _command(
    found: Draft, facts: Facts, product: Product | None, string: str | None, call: AnyCall
) -> commands.CreateCheckoutSession:
    configuration = object_of(facts, CONFIGURATION)
    captures = configuration.get("auto_capture") is True
    kind = OperationKind.PURCHASE if captures else OperationKind.AUTHORIZATION
    save = None
    if product is not None:
        save = configurations.tokens_of(
            configuration,
            product,
            customer=text_of(object_of(facts, CUSTOMER), "customer_id"),
            created_by=call.principal.attribute("client_id"),
        )
    return _session(
        found,
        facts,
        kind if found.amount_minor else OperationKind.VERIFICATION,
        terms_of(facts, found.amount_minor, found.currency, product, save),
        string,
        call,
    )


def terms_of(
    facts: Facts, amount_minor: int, currency: str, product: Product | None, save: SaveTerms | None
) -> CheckoutTerms:
    """Say what is asked of the buyer."""
    url = object_of(facts, URL)
    return CheckoutTerms(
        amount_minor=amount_minor,
        currency=currency,
        lines=lines_of(object_of(facts, ORDER)),
        takes_card=product is not None,
        save=save,
        asks_cvc=product is None or configurations.asks_cvc(object_of(facts, CONFIGURATION), product),
        return_url=text_of(url, "return_url"),
        terms_url=text_of(url, "merchant_terms_url"),
    )


def _session(
    found: Draft,
    facts: Facts,
    kind: OperationKind,
    terms: CheckoutTerms,
    string: str | None,
    call: AnyCall,
) -> commands.CreateCheckoutSession:
    account_id = account_of(call)
    return commands.CreateCheckoutSession(
        kind=kind,
        terms=terms,
        expires_at=instant_in(found.expires_at, "expires_at") if found.expires_at else None,
        reference=found.reference,
        token=TokenString(string) if string else None,
        token_may_be_unknown=True,
        facts=facts,
        payment_facts=payment_facts(facts),
        address_of=lambda session_id: public_id(account_id, session_id),
        callback=callback_of(facts, account_id),
    )


def read_token_session(
    call: Call[wire.TokenSessionIn, wire.CreateQuery],
) -> commands.Command[CheckoutSessionView]:
    """Read a session that verifies a card and makes its tokens."""
    body = call.body
    session, provider = body.session or wire.SessionIn(), body.token_provider or wire.TokenProviderIn()
    found = draft(session, call, needs_amount=False, prefix="session.")
    if session.url is None or not session.url.return_url:
        raise missing("session.url.return_url")
    product = PRODUCTS.get(provider.payment_product_type or "")
    if product is None:
        raise invalid("token_provider.payment_product_type", "must be a card product that makes tokens")
    types = tuple(dict.fromkeys(provider.token_types or ()))
    if not types or not set(types) <= set(product.token_types):
        raise invalid("token_provider.token_types", "must be those that the product has")
    gateway, _, name = product.type.partition(".")
    configuration: Facts = {
        **wire.members(session.configuration),
        gateway: {name: {"enabled": True, **{f"generate_{type_}": True for type_ in types}}},
    }
    facts: dict[str, object] = {
        **found.facts,
        CONFIGURATION: configuration,
        CHANNEL: text_of(configuration, CHANNEL) or "ecommerce",
        PRODUCT: product.type,
        OPERATION: TOKEN_ONLY,
    }
    if session.profile_id:
        facts[PROFILE] = session.profile_id
    save = configurations.token_terms(
        product,
        types,
        customer=text_of(object_of(facts, CUSTOMER), "customer_id"),
        created_by=call.principal.attribute("client_id"),
    )
    terms = terms_of(facts, 0, found.currency, product, save)
    return _session(found, facts, OperationKind.VERIFICATION, terms, None, call)


# --- changing --------------------------------------------------------------------------------------------


def read_cancellation(
    call: Call[wire.Ignored, wire.IncludesQuery],
) -> commands.Command[CheckoutSessionView]:
    """Read which session to cancel; an authorization made for it is voided, anything more is refused."""
    session_id = session_id_of(call)

    def cancel(view: CheckoutSessionView) -> commands.Command[CheckoutSessionView]:
        note = {CREATED_BY: call.principal.attribute("client_id")}
        return commands.CancelCheckoutSession(own(view).session.id, note=note)

    return commands.Then(commands.GetCheckoutSession(session_id), cancel)


def read_update(
    call: Call[wire.SessionUpdateIn, wire.UpdateQuery],
) -> commands.Command[CheckoutSessionView]:
    """Read what changes of a session: its order, and the choices of shipping."""
    body, session_id = call.body, session_id_of(call)
    if body.order is None:
        raise missing("order")
    changes = dict(order_in(body.order))
    changes.pop("merchant_reference", None)

    def update(view: CheckoutSessionView) -> commands.Command[CheckoutSessionView]:
        session = own(view).session
        before = object_of(session.facts, ORDER)
        order = {**before, **changes}
        _check_amounts(order, call)
        express = {**object_of(session.facts, EXPRESS), **wire.members(body.express)}
        _check_shipping(order, express if body.express is not None else {})
        facts = {**session.facts, **without_empty({ORDER: order, EXPRESS: express})}
        product = PRODUCTS.get(text_of(facts, PRODUCT) or "") if session.terms.takes_card else None
        terms = terms_of(
            facts,
            amount_of(order),
            text_of(order, "currency") or session.terms.currency,
            product,
            session.terms.save,
        )
        note = {"previous_order": dict(before), "updated_order": order}
        if order == dict(before):
            note["updated_order_result"] = {"status": "NOT_MODIFIED"}
        return commands.UpdateCheckoutSession(
            session.id,
            terms=terms,
            facts=facts,
            payment_facts=payment_facts(facts),
            version=session.version,
            requires_lock=not call.query.update_without_lock,
            removes_lock=body.remove_lock,
            note=note,
        )

    return commands.Then(commands.GetCheckoutSession(session_id), update)


def _check_shipping(order: Facts, express: Facts) -> None:
    """Refuse a shipping option that is not among the ones given with it."""
    chosen, offered = object_of(order, "shipping_option"), objects_of(express, "shipping_options")
    if chosen and offered and chosen.get("id") not in {one.get("id") for one in offered}:
        raise invalid("order.shipping_option", "must be one of express.shipping_options")
