"""What merchants do to a Farebox that keeps failing: mint, race, verify, retry, follow up, take over."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from farebox.domain.access import ApiKeyKind, Principal, Scope, Tenant
from farebox.domain.cards import Card, Expiry, parse_cvc, parse_pan
from farebox.domain.errors import ErrorCode, FareboxError, NotFound
from farebox.domain.ids import ApiKeyId, OperationId, PaymentId, RequestId
from farebox.domain.money import Money
from farebox.domain.operations import OperationKind
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import DeclinePolicy, StoredTokenKind, TokenRules, TokenString
from farebox.ports.processors import Fault
from farebox.services.commands import (
    CloseBatch,
    Command,
    Context,
    Executed,
    FollowUp,
    FromInstrument,
    FromSingleUseToken,
    FromStoredToken,
    IdempotencyRequest,
    LookAtSingleUseToken,
    MintSingleUseToken,
    Pay,
    PaymentView,
    RevokeSingleUseToken,
    SaveCredential,
    SingleUseTokenView,
    StoreCredential,
    StoredTokenView,
)
from farebox.testing.scheduler import OutOfPatience, ProcessDied
from farebox.testing.world import OFFSETS, TENANTS, World

NUMBERS = ("4242424242424242", "5555555555554444", "4000000000000002", "4000000000009995")
"""Published test numbers: two that are approved, a hard and a soft decline."""
_MOVEMENTS = (OperationKind.CAPTURE, OperationKind.CAPTURE, OperationKind.REFUND, OperationKind.VOID)
_TRY_AGAIN = frozenset(
    {
        ErrorCode.STORAGE_BUSY,
        ErrorCode.COMMIT_UNKNOWN,
        ErrorCode.PROCESSOR_UNREACHABLE,
        ErrorCode.IDEMPOTENCY_IN_PROGRESS,
    }
)
_SOFT = TokenRules(on_decline=DeclinePolicy.SOFT_DECLINE_RETURNS)


def card(number: str, *, cvc: str | None = None) -> Card:
    """Give a card with a published test number."""
    code = parse_cvc(Sensitive(cvc), brand="visa") if cvc else None
    return Card(parse_pan(Sensitive(number)), Expiry(12, 2030), None, code)


def principal_of(tenant: Tenant) -> Principal:
    """Give a caller who may do everything for this merchant."""
    return Principal(
        tenant=tenant,
        key_id=ApiKeyId("key_simulation"),
        kind=ApiKeyKind.SECRET,
        scopes=frozenset(Scope),
        dialect="native",
        clock_offset=OFFSETS.get(tenant, timedelta(0)),
    )


def render(view: Any) -> bytes:
    """Write what a merchant would read."""
    if isinstance(view, SingleUseTokenView):
        return json.dumps({"token": view.string}).encode()
    if isinstance(view, StoredTokenView):
        return json.dumps({"stored": view.string}).encode()
    if isinstance(view, PaymentView):
        operation = view.operation
        return json.dumps(
            {
                "payment": view.payment.id,
                "status": view.payment.status.value,
                "operation": operation.id if operation else None,
                "state": operation.state.value if operation else None,
                "saved": view.saved.string if view.saved else None,
            }
        ).encode()
    return b"{}"


@dataclass(slots=True)
class Told:
    """Everything merchants were told, for the comparison with what is true."""

    answers: dict[str, set[bytes]] = field(default_factory=dict[str, set[bytes]])
    """By tenant and idempotency key."""
    states: list[tuple[OperationId, str]] = field(default_factory=list[tuple[OperationId, str]])
    crossed: list[str] = field(default_factory=list[str])
    """What a stranger got that was not `not found`."""
    refusals: dict[ErrorCode, int] = field(default_factory=dict[ErrorCode, int])


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do, and how often it is done."""

    weight: int
    act: Callable[[], Any]


class Shoppers:
    """A few clients at once, who share tokens, payments and idempotency keys."""

    def __init__(self, world: World, *, clients: int = 4, actions: int = 8) -> None:
        """Take the world, and how much is to happen in it."""
        self.told = Told()
        self._world = world
        self._dice = world.dice
        self._clients = clients
        self._actions = actions
        self._tokens: list[tuple[Tenant, TokenString]] = []
        self._stored: list[tuple[Tenant, TokenString]] = []
        self._payments: list[tuple[Tenant, PaymentId]] = []
        self._orders: list[tuple[Tenant, Command[Any], str]] = []
        self._keys = 0
        self._menu = _weighted(
            [
                Action(5, self._mint),
                Action(8, self._spend),
                Action(2, self._verify),
                Action(1, self._look),
                Action(1, self._revoke),
                Action(8, self._follow_up),
                Action(2, self._pay_in_clear),
                Action(2, self._pay_stored),
                Action(4, self._repeat),
                Action(2, self._trespass),
                Action(4, self._trouble),
                Action(1, self._close_batch),
            ]
        )

    async def story(self) -> None:
        """Let every client act, side by side."""
        scheduler = self._world.scheduler
        tasks = [scheduler.spawn(self._client()) for _ in range(self._clients)]
        for task in tasks:
            await scheduler.wait_for(task)

    async def _client(self) -> None:
        await self._mint()
        for _ in range(self._actions):
            await self._dice.choose(self._menu)()
            await self._world.clock.sleep(self._dice.between(0, 60 if self._dice.chance(0.15) else 3))

    # --- what they do ------------------------------------------------------------------------------

    async def _mint(self) -> None:
        tenant = self._dice.choose(TENANTS)
        instrument = card(self._dice.choose(NUMBERS), cvc="123" if self._dice.chance(0.5) else None)
        lifetime_s = self._dice.choose((60, 60, 300, 600))
        command = MintSingleUseToken(instrument, lifetime_s=lifetime_s)
        answer = await self._order(tenant, command)
        if answer is not None:
            self._tokens.append((tenant, TokenString(answer["token"])))

    async def _spend(self) -> None:
        if not self._tokens:
            return
        tenant, token = self._pick(self._tokens)
        kind = self._dice.choose(
            (
                OperationKind.AUTHORIZATION,
                OperationKind.AUTHORIZATION,
                OperationKind.PURCHASE,
                OperationKind.CREDIT,
            )
        )
        save = SaveCredential(StoredTokenKind.PAYMENT_TOKEN) if self._dice.chance(0.3) else None
        command = Pay(kind, self._money(), FromSingleUseToken(token), save=save)
        racers = 1 + self._dice.below(3)
        scheduler = self._world.scheduler
        tasks = [scheduler.spawn(self._pay(tenant, command)) for _ in range(racers)]
        if self._dice.chance(0.2):
            tasks.append(scheduler.spawn(self._store(tenant, token)))
        for task in tasks:
            await scheduler.wait_for(task)

    async def _store(self, tenant: Tenant, token: TokenString) -> None:
        answer = await self._order(tenant, StoreCredential(FromSingleUseToken(token)))
        if answer is not None:
            self._stored.append((tenant, TokenString(answer["stored"])))

    async def _verify(self) -> None:
        if self._tokens:
            tenant, token = self._pick(self._tokens)
            await self._order(
                tenant, Pay(OperationKind.VERIFICATION, Money(0, "EUR"), FromSingleUseToken(token))
            )

    async def _look(self) -> None:
        if self._tokens:
            tenant, token = self._pick(self._tokens)
            await self._order(tenant, LookAtSingleUseToken(token), keyed=False)

    async def _revoke(self) -> None:
        if self._tokens:
            tenant, token = self._pick(self._tokens)
            await self._order(tenant, RevokeSingleUseToken(token), keyed=False)

    async def _follow_up(self) -> None:
        """Capture, void and refund one payment, up to four at once."""
        if not self._payments:
            return
        tenant, payment_id = self._pick(self._payments)
        scheduler = self._world.scheduler
        tasks = [
            scheduler.spawn(self._order(tenant, self._movement(payment_id)))
            for _ in range(1 + self._dice.below(4))
        ]
        for task in tasks:
            await scheduler.wait_for(task)

    def _movement(self, payment_id: PaymentId) -> FollowUp:
        kind = self._dice.choose(_MOVEMENTS)
        amount_minor = None if self._dice.chance(0.2) else 1 + self._dice.below(500)
        if kind is not OperationKind.VOID or self._dice.chance(0.5):
            return FollowUp(payment_id, kind, amount_minor)
        targets = self._world.database.rows(
            "SELECT id FROM operation WHERE payment_id = ? AND kind IN ('capture', 'refund') ORDER BY id",
            payment_id,
        )
        target_id = OperationId(self._dice.choose(targets)[0]) if targets else None
        return FollowUp(payment_id, kind, None, target_id)

    async def _pay_in_clear(self) -> None:
        tenant = self._dice.choose(TENANTS)
        source = FromInstrument(card(self._dice.choose(NUMBERS)))
        await self._pay(tenant, Pay(OperationKind.AUTHORIZATION, self._money(), source))

    async def _pay_stored(self) -> None:
        if self._stored:
            tenant, token = self._pick(self._stored)
            await self._pay(tenant, Pay(OperationKind.PURCHASE, self._money(), FromStoredToken(token)))

    async def _repeat(self) -> None:
        """Send an earlier request again, as it was, with its key."""
        if self._orders:
            tenant, command, key = self._pick(self._orders)
            await self._call(tenant, command, key)

    async def _trespass(self) -> None:
        """Try another merchant's token or payment."""
        if self._tokens:
            owner, token = self._pick(self._tokens)
            stranger = self._dice.choose([tenant for tenant in TENANTS if tenant != owner])
            await self._expect_unknown(
                stranger, Pay(OperationKind.PURCHASE, self._money(), FromSingleUseToken(token))
            )
        if self._payments:
            owner, payment_id = self._pick(self._payments)
            stranger = self._dice.choose([tenant for tenant in TENANTS if tenant != owner])
            await self._expect_unknown(stranger, FollowUp(payment_id, OperationKind.REFUND))

    async def _trouble(self) -> None:
        troubles = self._world.rules.troubles
        if not troubles:
            return
        fault = Fault(self._dice.choose(troubles), delay_s=self._dice.between(0, 15))
        await self._world.acquirer.add_fault(self._dice.choose(TENANTS), fault)

    async def _close_batch(self) -> None:
        await self._order(self._dice.choose(TENANTS), CloseBatch(), keyed=False)

    # --- how they do it ----------------------------------------------------------------------------

    def _money(self) -> Money:
        return Money(1000 + self._dice.below(5), "EUR")

    def _pick(self, things: Sequence[Any]) -> Any:
        """Draw one, mostly of the latest few, so that clients meet."""
        return self._dice.choose(things if self._dice.chance(0.2) else things[-6:])

    async def _pay(self, tenant: Tenant, command: Pay) -> None:
        answer = await self._order(tenant, command)
        if answer is not None:
            if answer["state"] != "declined":
                self._payments.append((tenant, PaymentId(answer["payment"])))
            if answer["saved"]:
                self._stored.append((tenant, TokenString(answer["saved"])))

    async def _order(
        self, tenant: Tenant, command: Command[Any], *, keyed: bool = True
    ) -> dict[str, Any] | None:
        key = None
        if keyed and self._dice.chance(0.8):
            self._keys += 1
            key = f"order-{self._keys}"
            self._orders.append((tenant, command, key))
        return await self._call(tenant, command, key)

    async def _call(self, tenant: Tenant, command: Command[Any], key: str | None) -> dict[str, Any] | None:
        """Send a request and, when it has a key, send it again until somebody answers."""
        for _ in range(5 if key else 1):
            try:
                answer = await self._send(tenant, command, key)
            except (ProcessDied, OutOfPatience):
                answer = None
            except FareboxError as refusal:
                self.told.refusals[refusal.code] = self.told.refusals.get(refusal.code, 0) + 1
                if refusal.code not in _TRY_AGAIN:
                    return None
                answer = None
            if answer is not None:
                return self._hear(tenant, key, answer)
            await self._world.clock.sleep(self._dice.between(0, 8))
        return None

    async def _send(self, tenant: Tenant, command: Command[Any], key: str | None) -> bytes | None:
        found = self._world.running()
        if found is None:
            return None
        process, node = found
        idempotency = (
            IdempotencyRequest(key, "order", repr((type(command).__name__, key)).encode()) if key else None
        )
        context: Context[Any] = Context(
            principal=principal_of(tenant),
            dialect="native",
            rules=_SOFT if tenant == TENANTS[1] else TokenRules(),
            request_id=RequestId("req_simulation"),
            render=render,
            idempotency=idempotency,
        )
        scheduler = self._world.scheduler
        task = scheduler.spawn(node.application.execute(command, context), process)
        patience_s = self._dice.choose((1.0, 15.0, 15.0, 15.0))
        try:
            answer = await scheduler.wait_for(task, patience_s)
        except (FareboxError, ProcessDied, OutOfPatience):
            raise
        except Exception:  # the scheduler has noted it; a merchant sees that it is our fault, and no more
            return None
        if isinstance(answer, Executed):
            return answer.answer if answer.answer is not None else render(answer.result)
        return answer.answer

    def _hear(self, tenant: Tenant, key: str | None, answer: bytes) -> dict[str, Any]:
        if key is not None:
            self.told.answers.setdefault(f"{tenant.merchant_id} {key}", set()).add(answer)
        heard: dict[str, Any] = json.loads(answer)
        if heard.get("operation"):
            self.told.states.append((OperationId(heard["operation"]), heard["state"]))
        return heard

    async def _expect_unknown(self, stranger: Tenant, command: Command[Any]) -> None:
        try:
            answer = await self._send(stranger, command, None)
        except (ProcessDied, OutOfPatience, NotFound):
            return
        except FareboxError as refusal:
            if refusal.code not in _TRY_AGAIN:
                self.told.crossed.append(f"{type(command).__name__}: {refusal.code.value}")
            return
        if answer is not None:
            self.told.crossed.append(f"{type(command).__name__}: answered")


def _weighted(actions: Sequence[Action]) -> list[Callable[[], Any]]:
    return [action.act for action in actions for _ in range(action.weight)]
