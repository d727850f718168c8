"""Lists: newest first, narrowed by what is shown of a thing.

The database pages by ids; what narrows further is a table of conditions on the transaction as it is shown.
So that a rare condition cannot keep a server busy for minutes, at most `LOOKED_AT_MAX` things are looked
at; whoever asks for more is told to narrow by time, instead of getting a list that silently lacks some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast

from farebox.dialects.dialect import Answer, Call
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.names import (
    parse_public_id,
    parse_token_id,
)
from farebox.dialects.dintero.reading import instant_in, invalid, listed, object_of, text_of
from farebox.dialects.dintero.transactions import PRODUCT, Transaction, account_of, transaction_out
from farebox.domain.facts import Facts
from farebox.domain.operations import Initiator, Operation, OperationKind, OperationState
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import PaymentView

LIMIT_MAX = 100
PAGE_SIZE = 100
LOOKED_AT_MAX = 5_000

ListCall = Call[wire.Ignored, wire.TransactionsQuery]
T = TypeVar("T")
U = TypeVar("U")
Found = tuple[PaymentView, wire.TransactionOut]
Condition = Callable[[Found], bool]


def limit_of(limit: int) -> int:
    """Read how many a list gives at most.

    Raises:
        WireRefusal: not from 1 to 100.
    """
    if not 1 <= limit <= LIMIT_MAX:
        raise invalid("limit", f"must be from 1 to {LIMIT_MAX}")
    return limit


def scan(
    page_after: Callable[[str | None, int], commands.Command[Page[T]]],
    keep: Callable[[T], U | None],
    id_of: Callable[[T], str],
    *,
    limit: int,
    after: str | None,
    narrowed: bool,
    is_past: Callable[[T], bool] | None = None,
) -> commands.Command[list[U]]:
    """Go through a list page by page until enough of it was kept.

    Args:
        page_after: gives the page behind an id, of a size.
        keep: gives what is kept of a thing, or nothing.
        id_of: names a thing for the next page.
        limit: how many are wanted.
        after: where to begin.
        narrowed: not everything will be kept, so pages are large.
        is_past: tells that nothing behind this one can be wanted.

    Raises:
        WireRefusal: too many were looked at.
    """
    size = PAGE_SIZE if narrowed else min(limit + 1, PAGE_SIZE)

    def step(after: str | None, kept: tuple[U, ...], looked_at: int) -> commands.Command[list[U]]:
        def take(page: Page[T]) -> commands.Command[list[U]]:
            found = list(kept)
            for one in page.items:
                if is_past is not None and is_past(one):
                    return commands.Give(found)
                shown = keep(one)
                if shown is not None:
                    found.append(shown)
                if len(found) == limit:
                    return commands.Give(found)
            if not page.has_more:
                return commands.Give(found)
            seen = looked_at + len(page.items)
            if seen >= LOOKED_AT_MAX:
                raise invalid("created_at.gte", "must narrow this search: there is too much to look at")
            return step(id_of(page.items[-1]), tuple(found), seen)

        return commands.Then(page_after(after, size), take)

    return step(after, (), 0)


def read_list(call: ListCall) -> commands.Command[list[wire.TransactionOut]]:
    """Read which transactions to list.

    Payments are made in the order of their ids, so the first one before the instant asked for ends the walk.
    """
    query, account_id = call.query, account_of(call)
    conditions, includes = _conditions(query), listed(query.includes)
    filters = {"reference": query.merchant_reference} if query.merchant_reference is not None else {}
    oldest = after = None
    if query.created_at_gte is not None:
        oldest = instant_in(query.created_at_gte, "created_at.gte")
    if query.starting_after is not None:
        after = parse_public_id(query.starting_after, account_id, "pay")
        if after is None:
            raise invalid("starting_after", "names no transaction of this account")

    def page_after(after: str | None, size: int) -> commands.Command[Page[PaymentView]]:
        page = PageRequest(limit=size, after=after, filters=filters)
        return commands.ListPayments(page, with_operations=True)

    def keep(view: PaymentView) -> wire.TransactionOut | None:
        found = (view, transaction_out(Transaction(view), account_id, includes))
        return found[1] if all(condition(found) for condition in conditions) else None

    return scan(
        page_after,
        keep,
        lambda view: view.payment.id,
        limit=limit_of(query.limit),
        after=after,
        narrowed=len(conditions) > 1,
        is_past=lambda view: oldest is not None and view.payment.created_at < oldest,
    )


def write_list(found: list[wire.TransactionOut], call: ListCall) -> Answer:
    """Show a list: a bare array."""
    return Answer(found)


# --- conditions ---------------------------------------------------------------------------------------------


def _conditions(query: wire.TransactionsQuery) -> tuple[Condition, ...]:
    """Give the conditions of a query; the first one holds of every list."""
    given = [condition for make in _MAKERS for condition in [make(query)] if condition is not None]
    return (_is_transaction, *given)


def _is_transaction(found: Found) -> bool:
    """An attempt that its buyer did not get through with is no transaction: a session has at most one."""
    payment = found[0].payment
    if PRODUCT not in payment.facts:
        return False
    is_lost = payment.state in {OperationState.DECLINED, OperationState.FAILED, OperationState.REVERSED}
    return not (is_lost and payment.initiator is Initiator.CUSTOMER)


Make = Callable[[wire.TransactionsQuery], Condition | None]


def _one_of(parameter: str, value: Callable[[wire.TransactionOut], object]) -> Make:
    """Hold where the value is among those that the list parameter names."""

    def make(query: wire.TransactionsQuery) -> Condition | None:
        wanted = listed(getattr(query, parameter))
        return (lambda found: value(found[1]) in wanted) if wanted else None

    return make


def _equal(parameter: str, value: Callable[[wire.TransactionOut], object]) -> Make:
    def make(query: wire.TransactionsQuery) -> Condition | None:
        wanted = getattr(query, parameter)
        return None if wanted is None else lambda found: value(found[1]) == wanted

    return make


def _amount(parameter: str, holds: Callable[[int, int], bool]) -> Make:
    def make(query: wire.TransactionsQuery) -> Condition | None:
        bound: int | None = getattr(query, parameter)
        return None if bound is None else lambda found: holds(found[1].amount, bound)

    return make


_FOLLOW_UPS: Mapping[str, frozenset[OperationKind]] = {
    "captured_at": frozenset({OperationKind.CAPTURE, OperationKind.PURCHASE}),
    "refunded_at": frozenset({OperationKind.REFUND}),
}


def _instants(name: str) -> Make:
    """Hold where something approved of this kind lies within the bounds."""

    def make(query: wire.TransactionsQuery) -> Condition | None:
        first: str | None = getattr(query, f"{name}_gte")
        last: str | None = getattr(query, f"{name}_lte")
        if first is None and last is None:
            return None
        since = None if first is None else instant_in(first, f"{name}.gte")
        until = None if last is None else instant_in(last, f"{name}.lte", ends=True)

        def within(at: datetime) -> bool:
            return (since is None or at >= since) and (until is None or at <= until)

        def of_kind(operation: Operation) -> bool:
            return operation.kind in _FOLLOW_UPS[name] and operation.state is OperationState.APPROVED

        if name == "created_at":
            return lambda found: within(found[0].payment.created_at)
        return lambda found: any(within(one.created_at) for one in found[0].operations if of_kind(one))

    return make


def _tokens(query: wire.TransactionsQuery) -> Condition | None:
    wanted = listed(query.token_id)
    if not wanted:
        return None
    ids = {parse_token_id(one) for one in wanted}
    return lambda found: bool(ids & _token_ids(found[0]))


def _token_ids(view: PaymentView) -> set[str]:
    used = view.payment.stored_token_id
    saved = [view.saved, *view.also_saved] if view.saved else []
    return {str(one.token.id) for one in saved} | ({str(used)} if used is not None else set[str]())


def _search(query: wire.TransactionsQuery) -> Condition | None:
    """Hold where one of the documented fields is the text: ids, references, contact, name, token id."""
    sought = query.search
    if not sought:
        return None

    def holds(found: Found) -> bool:
        view, out = found
        customer = out.customer or {}
        order = object_of(view.payment.facts, "order")
        names = {_name(object_of(order, one)) for one in ("billing_address", "shipping_address")}
        texts = {out.id, out.session_id, out.merchant_reference, out.merchant_reference_2}
        texts |= {text_of(customer, "phone_number"), text_of(customer, "email"), *names}
        return sought in texts or parse_token_id(sought) in _token_ids(view)

    return holds


def _name(address: Mapping[str, object]) -> str | None:
    first, last = text_of(address, "first_name"), text_of(address, "last_name")
    return f"{first} {last}" if first and last else None


def _member(name: str, member: str) -> Callable[[wire.TransactionOut], object]:
    def value(out: wire.TransactionOut) -> object:
        found: Any = getattr(out, name)
        return cast("Facts", found).get(member) if isinstance(found, Mapping) else None

    return value


_MAKERS: tuple[Make, ...] = (
    _one_of("id", lambda out: out.id),
    _one_of("status", lambda out: out.status),
    _one_of("payment_product", lambda out: out.payment_product),
    _one_of("payment_product_type", lambda out: out.payment_product_type),
    _one_of("card_brand", lambda out: out.card.brand if out.card else None),
    _equal("merchant_reference", lambda out: out.merchant_reference),
    _equal("merchant_reference_2", lambda out: out.merchant_reference_2),
    _one_of("session_id", lambda out: out.session_id),
    _one_of("store_id", _member("store", "id")),
    _one_of("terminal_id", _member("store", "terminal_id")),
    _one_of("payout_correlation_id", _member("metadata", "payout_correlation_id")),
    _one_of("payout_destination_id", lambda out: out.payout_destination_id),
    _one_of("channel", lambda out: out.channel),
    _one_of("currency", lambda out: out.currency),
    _equal("payment_operation", lambda out: out.payment_operation),
    _equal("customer_id", _member("customer", "customer_id")),
    _amount("amount", lambda amount, bound: amount == bound),
    _amount("amount_gte", lambda amount, bound: amount >= bound),
    _amount("amount_lte", lambda amount, bound: amount <= bound),
    _instants("created_at"),
    _instants("captured_at"),
    _instants("refunded_at"),
    _tokens,
    _search,
)
"""One row a documented parameter."""
