"""Payment plans and subscriptions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery
from farebox.dialects.payroc.mapping.common import (
    AnyCall,
    at_terminal,
    created,
    custom_fields,
    facts_of,
    members,
    merged,
    no_content,
    parse_day,
    plain,
    refuse,
    shown_taxes,
    text,
)
from farebox.dialects.payroc.mapping.documents import by_name, list_by_name
from farebox.dialects.payroc.mapping.instruments import customer_name, write_summary
from farebox.dialects.payroc.mapping.payments import find_secure_token
from farebox.dialects.payroc.mapping.results import payment_summary
from farebox.dialects.payroc.mapping.tokens import terminal_of
from farebox.dialects.payroc.paging import check_cursors, limit_of, scan, write_page
from farebox.dialects.payroc.patching import patched
from farebox.dialects.payroc.wire import billing as wire
from farebox.dialects.payroc.wire.common import Link, PageOut, PageQuery, PatchOperation, SecureTokenSummary
from farebox.domain.documents import Document
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest
from farebox.domain.instruments import InstrumentKind
from farebox.domain.money import Money
from farebox.domain.subscriptions import (
    Frequency,
    Subscription,
    SubscriptionState,
    ended,
    reactivated,
    replanned,
)
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands
from farebox.services.commands import Attempt, Command, Give, StoredTokenView, SubscriptionView, Then

PLAN = "payment_plan"
_FIXED_PLAN = ("/paymentPlanId", "/processingTerminalId")
_FIXED_SUBSCRIPTION = (
    "/subscriptionId",
    "/processingTerminalId",
    "/currentState",
    "/type",
    "/frequency",
    "/paymentPlan",
    "/currency",
    "/secureToken",
)
_NOT_REMOVED = frozenset({"/recurringOrder", "/description", "/name"})
_INSTRUMENTS = {InstrumentKind.CARD, InstrumentKind.ACH, InstrumentKind.PAD}


# --- plans -----------------------------------------------------------------------------------------


def read_plan_in(call: Call[wire.PlanIn, NoQuery]) -> Command[Document]:
    """Keep a plan."""
    body, terminal = call.body, terminal_of(call)
    _check_plan(body.type, body.recurring_order)
    plan = commands.CreateDocument(PLAN, plain(body), name=body.payment_plan_id, parent_id=terminal)
    return at_terminal(call, terminal, plan)


def _check_plan(type_: str, recurring: wire.PlanOrder | None) -> None:
    """Refuse a plan that would bill nothing."""
    if type_ == "automatic" and (recurring is None or not recurring.amount):
        raise refuse("recurringOrder.amount", "Required of an automatic plan.", ErrorCode.PARAMETER_MISSING)


def plan_out(document: Document) -> wire.PlanOut:
    """Show a plan."""
    facts: dict[str, Any] = {**document.facts, "processingTerminalId": document.parent_id or ""}
    for order in ("setupOrder", "recurringOrder"):
        if order in facts:
            facts[order] = shown_taxes(facts[order])
    return msgspec.convert(facts, wire.PlanOut)


def write_new_plan(document: Document, call: Call[wire.PlanIn, NoQuery]) -> Answer:
    """Show a new plan."""
    return created(plan_out(document), f"{call.url}/{document.name}")


def write_plan(document: Document, call: AnyCall) -> wire.PlanOut:
    """Show a plan."""
    return plan_out(document)


def find_plan(call: AnyCall) -> Command[Document]:
    """Find the plan that the path names."""
    return by_name(PLAN, call.path["paymentPlanId"])


def read_plan(call: Call[NoBody, NoQuery]) -> Command[Document]:
    """Show one."""
    return at_terminal(call, terminal_of(call), find_plan(call))


def read_plans(call: Call[NoBody, PageQuery]) -> Command[Page[Document]]:
    """List a terminal's plans."""
    terminal = terminal_of(call)
    return at_terminal(call, terminal, list_by_name(PLAN, terminal, call.query, _is_plan))


def _is_plan(document: Document) -> bool:
    return document.kind == PLAN


def write_plans(page: Page[Document], call: Call[NoBody, PageQuery]) -> PageOut[wire.PlanOut]:
    """Show a page of them."""
    return write_page(page, call, plan_out, lambda document: document.name or "")


def read_plan_patch(call: Call[list[PatchOperation], NoQuery]) -> Command[Document]:
    """Change a plan, and its subscriptions where it says that they follow it."""

    def then(document: Document) -> Command[Document]:
        shown = msgspec.to_builtins(plan_out(document))
        result = patched(shown, call.body, wire.PatchedPlan, fixed=_FIXED_PLAN)
        _check_plan(result.type, result.recurring_order)
        facts = {"paymentPlanId": document.name, **plain(result)}

        def change(subscription: Subscription) -> Subscription:
            return _following(subscription, facts)

        return commands.ChangePlan(document, facts, change if result.on_update == "update" else None)

    return at_terminal(call, terminal_of(call), Then(find_plan(call), then))


def read_plan_deletion(call: Call[NoBody, NoQuery]) -> Command[Document]:
    """Delete a plan, and complete its subscriptions where it says so."""

    def then(document: Document) -> Command[Document]:
        completes = document.facts.get("onDelete") == "complete"
        return commands.ChangePlan(document, None, _completed if completes else None)

    return at_terminal(call, terminal_of(call), Then(find_plan(call), then))


def _completed(subscription: Subscription) -> Subscription:
    return ended(subscription, SubscriptionState.COMPLETED)


def write_no_plan(document: Document, call: AnyCall) -> Answer:
    """Answer without a body."""
    return no_content()


# --- subscriptions ---------------------------------------------------------------------------------


def read_subscription_in(call: Call[wire.SubscriptionIn, NoQuery]) -> Command[SubscriptionView]:
    """Bill a secure token by a plan."""
    body, terminal = call.body, terminal_of(call)
    start_on = parse_day(body.start_date, "startDate")
    assert start_on is not None, "the field is required"
    if start_on < call.now.date():
        raise refuse("startDate", "It cannot lie in the past.")

    def with_plan(plan: Document | None) -> Command[SubscriptionView]:
        if plan is None:
            raise refuse("paymentPlanId", "There is no such plan.")
        return Then(
            find_secure_token(body.payment_method.token, _INSTRUMENTS),
            lambda token: _create(body, terminal, plan, token, start_on),
        )

    return at_terminal(call, terminal, Then(Attempt(by_name(PLAN, body.payment_plan_id)), with_plan))


def _create(
    body: wire.SubscriptionIn, terminal: str, plan: Document, token: StoredTokenView, start_on: date
) -> Command[SubscriptionView]:
    own = _own_facts(body)
    facts = {**own, "plan": dict(plan.facts), "processingTerminalId": terminal}
    length = body.length if body.length is not None else plan.facts.get("length")
    setup = merged(plan.facts.get("setupOrder"), plain(body.setup_order))
    currency = str(plan.facts["currency"])
    shown = {"cardholderName", "entryMethod", "nameOnAccount", "secCode", "accountType"}
    return commands.CreateSubscription(
        name=body.subscription_id,
        plan=plan,
        token=token.token,
        is_automatic=plan.facts["type"] == "automatic",
        money=Money(_amount(facts), currency),
        frequency=Frequency(str(plan.facts["frequency"])),
        start_on=start_on,
        end_on=parse_day(body.end_date, "endDate"),
        length=length if isinstance(length, int) else 0,
        skipped=body.pause_collection_for or 0,
        setup=Money(setup["amount"], currency) if setup.get("amount") else None,
        setup_reference=setup.get("orderId"),
        facts=facts,
        payment_facts={
            **{name: value for name, value in token.token.facts.items() if name in shown},
            **facts_of(
                processingTerminalId=terminal,
                order=facts_of(description=_shown(facts, "description")),
                customer=token.token.facts.get("customer"),
                subscriptionId=body.subscription_id,
            ),
        },
    )


def _own_facts(body: wire.SubscriptionIn | wire.PatchedSubscription) -> dict[str, Any]:
    """Give what a subscription says itself, which goes before its plan."""
    return facts_of(
        name=body.name,
        description=body.description,
        setupOrder=plain(body.setup_order),
        recurringOrder=plain(body.recurring_order),
        length=body.length,
        pauseCollectionFor=body.pause_collection_for,
        customFields=custom_fields(body.custom_fields),
    )


def _plan_of(facts: Mapping[str, Any]) -> Mapping[str, Any]:
    return members(facts.get("plan"))


def _shown(facts: Mapping[str, Any], name: str) -> Any:
    """Give a subscription's own value, or its plan's."""
    own = facts.get(name)
    return _plan_of(facts).get(name) if own is None else own


def _amount(facts: Mapping[str, Any]) -> int:
    order = merged(_plan_of(facts).get("recurringOrder"), facts.get("recurringOrder"))
    amount = order.get("amount")
    return amount if isinstance(amount, int) else 0


def _following(subscription: Subscription, plan: Mapping[str, Any]) -> Subscription:
    """Take over a plan's new terms, where the subscription has none of its own."""
    facts: dict[str, Any] = {**subscription.facts, "plan": dict(plan)}
    length: Any = _shown(facts, "length")
    return replanned(
        replace(
            subscription,
            facts=facts,
            amount_minor=_amount(facts),
            is_automatic=plan["type"] == "automatic",
            frequency=Frequency(plan["frequency"]),
            length=length if isinstance(length, int) else 0,
        )
    )


def _state_out(subscription: Subscription) -> wire.CurrentState:
    due_on = subscription.due_on
    return wire.CurrentState(
        status=subscription.state.value,
        next_due_date=due_on.isoformat() if due_on else None,
        paid_invoices=subscription.paid,
        outstanding_invoices=max(subscription.length - subscription.paid, 0) if subscription.length else None,
    )


def _token_out(view: SubscriptionView, call: AnyCall) -> SecureTokenSummary:
    summary = write_summary(view.token, call.base_url)
    if summary is None:
        return SecureTokenSummary(secure_token_id="", customer_name="", token="", status="notValidated")
    return summary


def subscription_out(view: SubscriptionView, call: AnyCall) -> wire.SubscriptionOut:
    """Show a subscription."""
    one = view.subscription
    facts: dict[str, Any] = dict(one.facts)
    plan, terminal = _plan_of(facts), text(facts, "processingTerminalId") or ""
    plan_id = str(plan.get("paymentPlanId") or "")
    href = f"{call.base_url}/v1/processing-terminals/{terminal}/payment-plans/{plan_id}"
    setup = merged(plan.get("setupOrder"), facts.get("setupOrder"))
    recurring = merged(plan.get("recurringOrder"), facts.get("recurringOrder"))
    return wire.SubscriptionOut(
        subscription_id=one.name,
        processing_terminal_id=terminal,
        payment_plan=wire.PlanSummary(
            payment_plan_id=plan_id,
            name=str(plan.get("name") or ""),
            link=Link(rel="self", method="GET", href=href),
        ),
        secure_token=_token_out(view, call),
        name=str(_shown(facts, "name") or ""),
        description=_shown(facts, "description"),
        currency=one.currency,
        setup_order=shown_taxes(setup) or None,
        recurring_order=shown_taxes(recurring) or None,
        current_state=_state_out(one),
        start_date=one.start_on.isoformat(),
        end_date=one.end_on.isoformat() if one.end_on else None,
        length=one.length,
        type="automatic" if one.is_automatic else "manual",
        frequency=one.frequency.value,
        pause_collection_for=one.skipped,
        custom_fields=facts.get("customFields"),
    )


def write_new_subscription(view: SubscriptionView, call: Call[wire.SubscriptionIn, NoQuery]) -> Answer:
    """Show a new subscription."""
    return created(subscription_out(view, call), f"{call.url}/{view.subscription.name}")


def write_subscription(view: SubscriptionView, call: AnyCall) -> wire.SubscriptionOut:
    """Show a subscription."""
    return subscription_out(view, call)


def find_subscription(call: AnyCall) -> Command[SubscriptionView]:
    """Find the subscription that the path names."""
    return commands.GetSubscription(call.path["subscriptionId"])


def read_subscription(call: Call[NoBody, NoQuery]) -> Command[SubscriptionView]:
    """Show one."""
    return at_terminal(call, terminal_of(call), find_subscription(call))


def read_subscriptions(call: Call[NoBody, wire.SubscriptionQuery]) -> Command[Page[SubscriptionView]]:
    """List a terminal's subscriptions."""
    query, terminal = call.query, terminal_of(call)
    after, before = check_cursors(query)

    def list_(request: PageRequest) -> Command[Page[SubscriptionView]]:
        return commands.ListSubscriptions(request)

    def at_cursor(found: SubscriptionView | None) -> Command[Page[SubscriptionView]]:
        if found is None and (after is not None or before is not None):
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="after" if after else "before")
        edge = found.subscription.id if found else None
        request = PageRequest(limit_of(query), edge if after else None, edge if before else None)
        return scan(list_, request, _keeps(query, terminal), lambda view: view.subscription.id)

    cursor = after or before
    first: Command[SubscriptionView | None] = Give(None)
    if cursor is not None:
        first = Attempt(commands.GetSubscription(cursor))
    return at_terminal(call, terminal, Then(first, at_cursor))


def _keeps(query: wire.SubscriptionQuery, terminal: str) -> Callable[[SubscriptionView], bool]:
    def keeps(view: SubscriptionView) -> bool:
        one, token = view.subscription, view.token
        due_on = one.due_on
        checks = (
            (query.customer_name, customer_name(token.token.facts) if token else ""),
            (query.last4, token.token.summary.last_four if token else ""),
            (query.payment_plan, _plan_of(one.facts).get("name")),
            (query.frequency, one.frequency.value),
            (query.status, one.state.value),
            (query.end_date, one.end_on.isoformat() if one.end_on else None),
            (query.next_due_date, due_on.isoformat() if due_on else None),
            (terminal, text(one.facts, "processingTerminalId")),
        )
        return all(wanted is None or wanted == found for wanted, found in checks)

    return keeps


def write_subscriptions(
    page: Page[SubscriptionView], call: Call[NoBody, wire.SubscriptionQuery]
) -> PageOut[wire.SubscriptionOut]:
    """Show a page of them."""
    return write_page(
        page, call, lambda view: subscription_out(view, call), lambda view: view.subscription.name
    )


def read_subscription_patch(call: Call[list[PatchOperation], NoQuery]) -> Command[SubscriptionView]:
    """Change a subscription's own terms."""
    for number, operation in enumerate(call.body):
        if operation.op == "remove" and operation.path in _NOT_REMOVED:
            raise refuse(f"[{number}].path", "This cannot be removed.")

    def then(view: SubscriptionView) -> Command[SubscriptionView]:
        shown = msgspec.to_builtins(subscription_out(view, call))
        result = patched(shown, call.body, wire.PatchedSubscription, fixed=_FIXED_SUBSCRIPTION)
        start_on = parse_day(result.start_date, "startDate")
        end_on = parse_day(result.end_date, "endDate")
        one = view.subscription

        def change(subscription: Subscription, today: date) -> Subscription:
            kept = {
                name: subscription.facts[name]
                for name in ("plan", "processingTerminalId")
                if name in subscription.facts
            }
            facts = {**kept, **_own_facts(result)}
            return replanned(
                replace(
                    subscription,
                    facts=facts,
                    amount_minor=_amount(facts),
                    start_on=start_on or subscription.start_on,
                    end_on=end_on,
                    length=result.length or 0,
                )
            )

        return commands.ChangeSubscription(one.name, one.version, change)

    return at_terminal(call, terminal_of(call), Then(find_subscription(call), then))


def read_deactivation(call: Call[NoBody, NoQuery]) -> Command[SubscriptionView]:
    """Stop a subscription."""

    def then(view: SubscriptionView) -> Command[SubscriptionView]:
        one = view.subscription
        if one.state in {SubscriptionState.CANCELLED, SubscriptionState.COMPLETED}:
            raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
        return commands.ChangeSubscription(one.name, one.version, _cancelled)

    return at_terminal(call, terminal_of(call), Then(find_subscription(call), then))


def _cancelled(subscription: Subscription, today: date) -> Subscription:
    return ended(subscription, SubscriptionState.CANCELLED)


def read_reactivation(call: Call[NoBody, NoQuery]) -> Command[SubscriptionView]:
    """Go on with a subscription that was stopped."""

    def then(view: SubscriptionView) -> Command[SubscriptionView]:
        one = view.subscription
        if one.state in {SubscriptionState.ACTIVE, SubscriptionState.COMPLETED}:
            raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
        return commands.ChangeSubscription(one.name, one.version, reactivated)

    return at_terminal(call, terminal_of(call), Then(find_subscription(call), then))


def read_collection(call: Call[wire.CollectIn, NoQuery]) -> Command[SubscriptionView]:
    """Collect a period's payment of a manual plan."""
    body = call.body
    order = plain(body.order)
    return at_terminal(
        call,
        terminal_of(call),
        commands.CollectInstalment(
            call.path["subscriptionId"],
            body.order.amount,
            body.order.order_id,
            facts=facts_of(
                order=order, operator=body.operator, customFields=custom_fields(body.custom_fields)
            ),
        ),
    )


def write_collection(view: SubscriptionView, call: Call[wire.CollectIn, NoQuery]) -> wire.CollectOut:
    """Show the payment that was made."""
    assert view.payment is not None, "a collection makes a payment"
    one = view.subscription
    return wire.CollectOut(
        subscription_id=one.name,
        processing_terminal_id=text(one.facts, "processingTerminalId") or "",
        payment=payment_summary(view.payment, call.base_url, "payments"),
        secure_token=_token_out(view, call),
        current_state=_state_out(one),
        custom_fields=custom_fields(call.body.custom_fields),
    )
