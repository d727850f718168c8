"""One transaction, with its token strings and its session where they are asked for."""

from __future__ import annotations

from farebox.dialects.dialect import Call
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.names import PAYMENT_TOKEN, RECURRENCE_TOKEN
from farebox.dialects.dintero.reading import listed, text_of
from farebox.dialects.dintero.session_views import session_out
from farebox.dialects.dintero.transactions import (
    SESSION,
    Strings,
    Transaction,
    account_of,
    find,
    saved_tokens,
    transaction_out,
)
from farebox.domain.ids import CheckoutSessionId
from farebox.services import commands
from farebox.services.commands import PaymentView

LookCall = Call[wire.Ignored, wire.IncludesQuery]
_TOKENS = frozenset({f"card.{PAYMENT_TOKEN}", f"card.{RECURRENCE_TOKEN}"})
_SESSIONS = frozenset({"session", "session.events.latest"})


def read_transaction(call: LookCall) -> commands.Command[Transaction]:
    """Read which transaction to show, and how much of it."""
    includes = listed(call.query.includes)

    def with_session(view: PaymentView, strings: Strings) -> commands.Command[Transaction]:
        session_id = text_of(view.payment.facts, SESSION)
        if session_id is None or not includes & _SESSIONS:
            return commands.Give(Transaction(view, strings))
        get = commands.GetCheckoutSession(CheckoutSessionId(session_id))
        return commands.Then(
            get, lambda found: commands.Give(Transaction(view, strings, session_out(found, account_of(call))))
        )

    def shown(view: PaymentView) -> commands.Command[Transaction]:
        ids = [one.token.id for one in saved_tokens(view)]
        if not ids or not includes & _TOKENS:
            return with_session(view, {})
        return commands.Then(commands.ShowTokenStrings(ids), lambda strings: with_session(view, strings))

    return commands.Then(find(call), shown)


def write_transaction(found: Transaction, call: LookCall) -> wire.TransactionOut:
    """Show a transaction."""
    return transaction_out(found, account_of(call), listed(call.query.includes))
