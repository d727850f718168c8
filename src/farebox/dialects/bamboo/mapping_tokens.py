"""Direct tokenization: a card becomes a one-time token, or with a customer a commerce token."""

from __future__ import annotations

from farebox.dialects.bamboo import wire
from farebox.dialects.bamboo.errors import refusal
from farebox.dialects.bamboo.reading import country_named
from farebox.dialects.bamboo.tables import (
    brand_name,
    installments_text,
    is_known_brand,
    medium_of_summary,
    type_name,
)
from farebox.dialects.bamboo.values import (
    PLAIN,
    clip,
    has_email_form,
    long_timestamp,
    number_in,
    numbering_of,
    read_card,
)
from farebox.dialects.dialect import Call
from farebox.domain.access import ApiKeyKind
from farebox.domain.cards import Card
from farebox.domain.errors import ErrorCode, Forbidden
from farebox.domain.ids import CustomerId
from farebox.domain.instruments import InstrumentSummary, PayerDetails
from farebox.services.commands import (
    Command,
    FindNumbered,
    FromInstrument,
    Mapped,
    MintSingleUseToken,
    SingleUseTokenView,
    StoreCredential,
    StoredTokenView,
    Then,
)

AnyToken = SingleUseTokenView | StoredTokenView
TokenCall = Call[wire.TokenIn, wire.TokenQuery]


def read_token(call: TokenCall) -> Command[AnyToken]:
    """Read a card to tokenize; a customer's id decides the kind of token.

    Raises:
        Forbidden: `scope_missing` for a public key.
        WireRefusal: `TK001`, `TK002`, `TK003`, `TK005`, `TK011` or `TK015`; `PR034` for a country of nobody.
    """
    if call.principal.kind is not ApiKeyKind.SECRET:
        # The public key stands in pages; it tokenizes through them alone.
        raise Forbidden(ErrorCode.SCOPE_MISSING)
    body = call.body
    if not has_email_form(body.email):
        raise refusal("TK005")
    if not body.cvv:
        raise refusal("TK002")
    card = read_card(body.pan, body.expiration, body.cvv, body.titular, mode=call.principal.tenant.mode)
    if card.expiry.passed(call.now.date()):
        raise refusal("TK003")
    if not is_known_brand(card.pan.brand):
        raise refusal("TK015")
    target = body.cross_border_data.target_country if body.cross_border_data else None
    facts = {"email": clip(body.email), "country": country_named(target, "")}
    details = PayerDetails(holder_name=card.holder_name)
    customer = clip(body.customer_id)
    if customer is None or customer == "0":
        return Mapped(MintSingleUseToken(card, details, facts=facts), _one_time)
    return _store(card, details, customer, facts)


def _store(
    card: Card, details: PayerDetails, customer: str, facts: dict[str, str | None]
) -> Command[AnyToken]:
    number = number_in(customer, "TK011", status=400)
    return Then(
        FindNumbered("cus", numbering_of(number), number),
        lambda found: Mapped(
            StoreCredential(
                FromInstrument(card, details), is_unique=True, customer_id=CustomerId(found), facts=facts
            ),
            _commerce,
        ),
    )


def _one_time(view: SingleUseTokenView) -> AnyToken:
    return view


def _commerce(view: StoredTokenView) -> AnyToken:
    return view


def write_token(view: AnyToken, call: TokenCall) -> wire.TokenOut:
    """Show a token; which fields are empty is as in the documentation's examples of either kind."""
    token = view.token
    country = str(token.facts.get("country") or "")
    if isinstance(view, SingleUseTokenView):
        return _token_out(
            view.string,
            token.summary,
            country,
            created=long_timestamp(token.created_at),
            kind="OneTime",
            number=0,
            owner=view.details.holder_name if view.details else None,
        )
    return _token_out(
        view.string or "",
        token.summary,
        country,
        created=long_timestamp(token.created_at),
        kind="Commerce",
        number=PLAIN.number_of(token.id),
        owner=None,
    )


def _token_out(
    string: str,
    summary: InstrumentSummary,
    country: str,
    *,
    created: str,
    kind: str,
    number: int,
    owner: str | None,
) -> wire.TokenOut:
    medium_id, medium = medium_of_summary(summary, country)
    is_stored = number > 0
    return wire.TokenOut(
        token_id=string,
        id_commerce_token=number,
        created=created,
        type=kind,
        brand=brand_name(summary, medium),
        owner=owner,
        last4=summary.last_four,
        bin=summary.bin if is_stored else None,
        card_exp_month=summary.exp_month,
        card_exp_year=(summary.exp_year or 0) % 100,
        card_type=None if is_stored else type_name(summary, medium),
        installments=installments_text(summary, country),
        payment_media_id=medium_id,
    )
