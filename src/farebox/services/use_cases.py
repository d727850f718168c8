"""The use cases put together over ports, and the table that pairs each command with its handler.

The composition root hands in real adapters, a simulation its own; both get the same use cases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from farebox.domain.frozen import frozen
from farebox.ports.delivery import Sender
from farebox.ports.processors import Processor, Sandbox
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage
from farebox.ports.system import Clock, Randomness
from farebox.ports.telemetry import Telemetry
from farebox.services import commands
from farebox.services.access import Access
from farebox.services.application import Application, Handler
from farebox.services.callbacks import CallbackTable
from farebox.services.checkout import Checkout
from farebox.services.checkout_books import CheckoutBooks
from farebox.services.checkout_payments import CheckoutPayments
from farebox.services.credentials import Credentials
from farebox.services.customers import Customers
from farebox.services.documents import Documents
from farebox.services.durability import Durability
from farebox.services.enrolment import Enrolment
from farebox.services.follow_ups import FollowUps
from farebox.services.ids import Ids
from farebox.services.ledger import Ledger
from farebox.services.purchases import Purchases
from farebox.services.recovery import Recovery
from farebox.services.reporting import Reporting
from farebox.services.routing import Routing
from farebox.services.sandbox import SandboxCommands
from farebox.services.submission import Submission
from farebox.services.subscriptions import Subscriptions
from farebox.services.tokenization import Tokenization
from farebox.services.vaulting import Vaulting
from farebox.services.webhook_endpoints import WebhookEndpoints
from farebox.services.webhooks import Report, Webhooks


@dataclass(frozen=True, slots=True)
class Parts:
    """The classes that carry the rules of exactly-once; a test that takes a rule out replaces one."""

    purchases: Callable[..., Purchases] = Purchases
    recovery: Callable[..., Recovery] = Recovery
    ledger: Callable[..., Ledger] = Ledger
    submission: Callable[..., Submission] = Submission
    application: Callable[..., Application] = Application


@frozen
class UseCases:
    """The door, and what background jobs and commands need beside it."""

    application: Application
    tokenization: Tokenization
    recovery: Recovery
    sandbox: SandboxCommands
    checkout: Checkout
    checkout_payments: CheckoutPayments
    durability: Durability
    subscriptions: Subscriptions
    webhooks: Webhooks


def build_use_cases(
    *,
    storage: Storage,
    vaulting: Vaulting,
    secrets: Secrets,
    processors: Mapping[str, Processor],
    sandbox: Sandbox,
    clock: Clock,
    ids: Ids,
    randomness: Randomness,
    telemetry: Telemetry,
    access: Access,
    sender: Sender,
    callbacks: CallbackTable,
    on_error: Report,
    bin_length: int = 6,
    keeps_cvc: bool = False,
    parts: Parts = Parts(),  # frozen
) -> UseCases:
    """Wire the use cases over ports.

    Args:
        storage: the database.
        vaulting: stands before the vault.
        secrets: digests and stored answers.
        processors: by name.
        sandbox: the hands on test mode's acquirer.
        clock: this node's.
        ids: names new things.
        randomness: draws secrets, jitter and the addresses of checkout pages.
        telemetry: is told what happened.
        access: who is asking; it is told whose test clock has moved, because it remembers principals.
        sender: calls the addresses of merchants.
        callbacks: what the dialects declare of theirs.
        on_error: is told of a declaration that failed at that.
        bin_length: 6 or 8 (SEC-04).
        keeps_cvc: let a security code outlive a verification.
        parts: the classes to use.
    """
    ledger = parts.ledger(clock, ids, keeps_cvc=keeps_cvc)
    submission = parts.submission(clock, telemetry)
    routing = Routing(processors, storage, clock)
    durability = Durability(storage)
    tokenization = Tokenization(
        storage=storage,
        vaulting=vaulting,
        secrets=secrets,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        bin_length=bin_length,
    )
    purchases = parts.purchases(
        storage=storage,
        vaulting=vaulting,
        secrets=secrets,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        routing=routing,
        ledger=ledger,
        submission=submission,
        durability=durability,
        bin_length=bin_length,
    )
    follow_ups = FollowUps(
        storage=storage,
        vaulting=vaulting,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        routing=routing,
        ledger=ledger,
        submission=submission,
        durability=durability,
    )
    credentials = Credentials(
        storage=storage,
        vaulting=vaulting,
        secrets=secrets,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        bin_length=bin_length,
        durability=durability,
    )
    recovery = parts.recovery(
        storage=storage,
        vaulting=vaulting,
        clock=clock,
        telemetry=telemetry,
        routing=routing,
        ledger=ledger,
    )
    books = CheckoutBooks(secrets=secrets, clock=clock, ids=ids)
    checkout = Checkout(
        storage=storage,
        secrets=secrets,
        clock=clock,
        ids=ids,
        randomness=randomness,
        telemetry=telemetry,
        follow_ups=follow_ups,
        books=books,
    )
    checkout_payments = CheckoutPayments(
        storage=storage,
        secrets=secrets,
        clock=clock,
        telemetry=telemetry,
        purchases=purchases,
        books=books,
    )
    sandbox_commands = SandboxCommands(
        storage=storage,
        clock=clock,
        ids=ids,
        telemetry=telemetry,
        sandbox=sandbox,
        recovery=recovery,
        clock_moved=access.forget,
    )

    async def execute(command: commands.Command[Any], context: commands.Context[Any]) -> Any:
        # The door is built last, over every handler; by the time a payment is made it is there.
        return await application.execute(command, context)

    subscriptions = Subscriptions(storage=storage, clock=clock, ids=ids, execute=execute)
    customers = Customers(storage=storage, clock=clock, ids=ids, telemetry=telemetry)
    webhooks = Webhooks(
        storage=storage,
        secrets=secrets,
        sender=sender,
        clock=clock,
        ids=ids,
        randomness=randomness,
        telemetry=telemetry,
        callbacks=callbacks,
        on_error=on_error,
    )
    endpoints = WebhookEndpoints(
        storage=storage,
        secrets=secrets,
        sender=sender,
        clock=clock,
        ids=ids,
        randomness=randomness,
        callbacks=callbacks,
        webhooks=webhooks,
    )
    handlers = _handlers(
        tokenization=tokenization,
        purchases=purchases,
        follow_ups=follow_ups,
        credentials=credentials,
        customers=customers,
        enrolment=Enrolment(
            storage=storage,
            clock=clock,
            ids=ids,
            telemetry=telemetry,
            customers=customers,
            credentials=credentials,
            durability=durability,
        ),
        reporting=Reporting(storage, secrets),
        sandbox=sandbox_commands,
        documents=Documents(storage=storage, clock=clock, ids=ids),
        checkout=checkout,
        checkout_payments=checkout_payments,
        endpoints=endpoints,
        access=access,
        subscriptions=subscriptions,
    )
    application = parts.application(
        handlers, storage=storage, secrets=secrets, clock=clock, telemetry=telemetry
    )
    return UseCases(
        application,
        tokenization,
        recovery,
        sandbox_commands,
        checkout,
        checkout_payments,
        durability,
        subscriptions,
        webhooks,
    )


def _handlers(
    *,
    tokenization: Tokenization,
    purchases: Purchases,
    follow_ups: FollowUps,
    credentials: Credentials,
    customers: Customers,
    enrolment: Enrolment,
    reporting: Reporting,
    sandbox: SandboxCommands,
    documents: Documents,
    checkout: Checkout,
    checkout_payments: CheckoutPayments,
    endpoints: WebhookEndpoints,
    access: Access,
    subscriptions: Subscriptions,
) -> Mapping[type[commands.Command[Any]], Handler]:
    """Pair every command with its use case."""
    return {
        commands.MintSingleUseToken: tokenization.mint,
        commands.MintCopies: tokenization.mint_copies,
        commands.LookAtSingleUseToken: tokenization.look,
        commands.RevokeSingleUseToken: tokenization.revoke,
        commands.ConsumeSingleUseToken: tokenization.consume,
        commands.Pay: purchases.pay,
        commands.FollowUp: follow_ups.follow_up,
        commands.GetPayment: reporting.payment,
        commands.AmendPayment: reporting.amend,
        commands.GetOperation: reporting.operation,
        commands.GetPaymentByKey: reporting.payment_by_key,
        commands.FindNumbered: reporting.find_numbered,
        commands.ListPayments: reporting.payments,
        commands.ListOperations: reporting.operations,
        commands.AmendPayment: reporting.amend,
        commands.ResolveId: reporting.resolve,
        commands.Enrol: enrolment.enrol,
        commands.AnswerDocument: documents.answer,
        commands.FindAccount: access.find_account,
        commands.StoreCredential: credentials.store,
        commands.GetStoredToken: credentials.get,
        commands.ListStoredTokens: credentials.page,
        commands.ShowTokenStrings: credentials.show_strings,
        commands.UpdateStoredToken: credentials.update,
        commands.DeleteStoredToken: credentials.delete,
        commands.CreateAgreement: credentials.create_agreement,
        commands.GetAgreement: credentials.get_agreement,
        commands.ListAgreements: credentials.page_agreements,
        commands.EndAgreement: credentials.end_agreement,
        commands.CreateCustomer: customers.create,
        commands.GetCustomer: customers.get,
        commands.ListCustomers: customers.page,
        commands.UpdateCustomer: customers.update,
        commands.DeleteCustomer: customers.delete,
        commands.GetEvent: reporting.event,
        commands.ListEvents: reporting.events,
        commands.GetNotice: reporting.notice,
        commands.ListNotices: reporting.notices,
        commands.CreateWebhookEndpoint: endpoints.create,
        commands.GetWebhookEndpoint: endpoints.get,
        commands.ListWebhookEndpoints: endpoints.page,
        commands.UpdateWebhookEndpoint: endpoints.update,
        commands.DeleteWebhookEndpoint: endpoints.delete,
        commands.RotateWebhookSecret: endpoints.rotate,
        commands.PingWebhookEndpoint: endpoints.ping,
        commands.RotateAccountSecret: endpoints.rotate_account,
        commands.GetAccountSecret: endpoints.account,
        commands.GetDelivery: endpoints.delivery,
        commands.ListDeliveries: endpoints.deliveries,
        commands.ReplayDelivery: endpoints.replay,
        commands.ResendEvent: endpoints.resend,
        commands.CreateDocument: documents.create,
        commands.GetDocument: documents.get,
        commands.ListDocuments: documents.page,
        commands.UpdateDocument: documents.update,
        commands.DeleteDocument: documents.delete,
        commands.CreateCheckoutSession: checkout.create,
        commands.PayNewCheckoutSession: checkout_payments.pay_new,
        commands.GetCheckoutSession: checkout.get,
        commands.ListCheckoutSessions: checkout.page,
        commands.UpdateCheckoutSession: checkout.update,
        commands.LockCheckoutSession: checkout.lock,
        commands.CancelCheckoutSession: checkout.cancel,
        commands.ViewCheckoutSession: checkout.view,
        commands.PayCheckoutSession: checkout_payments.pay,
        commands.AbandonCheckoutSession: checkout.abandon,
        commands.IssueAccessToken: access.issue,
        commands.CreateSubscription: subscriptions.create,
        commands.GetSubscription: subscriptions.get,
        commands.ListSubscriptions: subscriptions.page,
        commands.ChangeSubscription: subscriptions.change,
        commands.CollectInstalment: subscriptions.collect,
        commands.ChangePlan: subscriptions.change_plan,
        commands.MoveClock: sandbox.move_clock,
        commands.AddFault: sandbox.add_fault,
        commands.ClearFaults: sandbox.clear_faults,
        commands.DecidePending: sandbox.decide_pending,
        commands.CloseBatch: sandbox.close_batch,
    }
