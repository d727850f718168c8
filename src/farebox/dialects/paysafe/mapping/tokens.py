"""Which of our credentials a Paysafe token is, and what the vault adds to a payment with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.mapping.common import Json, address_of, facts_of, present
from farebox.domain.customers import Customer
from farebox.domain.frozen import frozen
from farebox.domain.ids import DocumentId, StoredTokenId
from farebox.domain.instruments import InstrumentSummary, PayerDetails
from farebox.domain.tokens import StoredToken, TokenState, TokenString
from farebox.services import commands

R = TypeVar("R")

SINGLE_USE = ("S", "A", "G", "tok_")
STORED = ("C", "D", "M", "pt_", "rt_")
ADDRESS = "address"


@frozen
class Looked:
    """What a token stands for, before anything is done with it."""

    source: commands.FromSingleUseToken | commands.FromStoredToken
    summary: InstrumentSummary
    details: PayerDetails | None = None
    single_use: commands.SingleUseTokenView | None = None
    stored: StoredToken | None = None
    customer: Customer | None = None
    address: Json | None = None
    """Of the vault."""

    @property
    def profile(self) -> Json | None:
        """Give the customer as a payment shows them."""
        if self.customer is None:
            return None
        known = facts_of(self.customer, "profile")
        return present(**{name: known.get(name) for name in ("firstName", "lastName", "email")}) or None

    @property
    def billing(self) -> Json | None:
        """Give the address that goes with the token."""
        return self.address or address_of(self.details.billing_address if self.details else None)


def look(
    token: str, then: Callable[[Looked], commands.Command[R]], *, cvc: Any = None
) -> commands.Command[R]:
    """Find out what a token stands for, then act.

    Args:
        token: as the request names it; one that was made by another dialect too.
        then: what to do with it.
        cvc: what the customer typed this time.

    Raises:
        WireRefusal: 5502 for a token that pays nowhere.
    """
    string = TokenString(token)
    if token.startswith("P"):
        raise refusal("5502")
    if token.startswith(STORED):
        return _look_at_stored(string, then, cvc)
    if token.startswith(SINGLE_USE):
        return commands.Then(commands.LookAtSingleUseToken(string), lambda view: then(_single_use(view, cvc)))

    def decide(view: commands.SingleUseTokenView | None) -> commands.Command[R]:
        return then(_single_use(view, cvc)) if view else _look_at_stored(string, then, cvc)

    return commands.Then(commands.Attempt(commands.LookAtSingleUseToken(string)), decide)


def _single_use(view: commands.SingleUseTokenView, cvc: Any) -> Looked:
    return Looked(
        commands.FromSingleUseToken(view.string, cvc), view.token.summary, view.details, single_use=view
    )


def _look_at_stored(
    string: TokenString, then: Callable[[Looked], commands.Command[R]], cvc: Any
) -> commands.Command[R]:
    def with_customer(view: commands.StoredTokenView) -> commands.Command[R]:
        token = view.token
        looked = Looked(commands.FromStoredToken(string, cvc=cvc), token.summary, view.details, stored=token)
        if token.customer_id is None:
            return then(looked)
        return commands.Then(
            commands.GetCustomer(token.customer_id), lambda customer: with_address(looked, customer)
        )

    def with_address(looked: Looked, customer: Customer) -> commands.Command[R]:
        if facts_of(customer, "profile").get("status") == "INITIAL":
            raise refusal("5502")
        address_id = looked.stored.facts.get("billingAddressId") if looked.stored else None
        base = Looked(looked.source, looked.summary, looked.details, stored=looked.stored, customer=customer)
        if not isinstance(address_id, str):
            return then(base)
        return commands.Then(
            commands.Attempt(commands.GetDocument(ADDRESS, DocumentId(address_id))),
            lambda found: then(
                Looked(
                    base.source,
                    base.summary,
                    base.details,
                    stored=base.stored,
                    customer=customer,
                    address=_billing(found.facts) if found else None,
                )
            ),
        )

    return commands.Then(commands.GetStoredToken(string), with_customer)


def _billing(facts: Any) -> Json:
    """Give the members of a vault address that a transaction shows."""
    names = ("street", "street2", "city", "state", "country", "zip", "phone")
    return {name: facts[name] for name in names if name in facts}


def is_spendable(view: commands.SingleUseTokenView) -> bool:
    """Tell whether a single-use token may still be used."""
    return view.token.state is TokenState.MINTED


def left_s(view: commands.SingleUseTokenView) -> int:
    """Give the whole seconds that a token has left, one less than it was given (as Paysafe counts)."""
    return max(int((view.token.expires_at - view.now).total_seconds() - 0.001), 0)


def stored_string(view: commands.StoredTokenView) -> str:
    """Give a stored credential's own string; its id where it was made by a dialect that shows it once."""
    return view.string or (view.details.token if view.details else None) or view.token.id


def token_id(id_: str) -> StoredTokenId:
    """Name a stored credential."""
    return StoredTokenId(id_)
