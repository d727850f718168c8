"""A server is killed again and again while shops mint, pay and refund; nothing acknowledged may be lost.

Shops repeat with the same idempotency key whatever was not answered, as they would. At the end recovery
has its time, and then four witnesses are compared: what the shops were told, what the API says now, Farebox's
own tables, and the acquirer's books.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from typing import Any

from farebox.testing.client import Answer, Client, ConnectionLost, card_number, mint_body
from farebox.testing.server import BookEntry, Server

NewServer = Callable[..., Server]

KILLS = {"sqlite": 12, "postgres": 6}
KILLS_FULL = 200
KILLS_OF_CONTROL = 5
SHOPPERS = 16
OPEN_MAX = 96
"""Purchases under way, most of which wait for recovery. More would keep a young server from all else."""
LIFE_MAX_S = 10
SETTINGS = {"ACCESS_LOG": "false", "RATE_LIMITS__PER_S": "0", "SANDBOX__TIMEOUT_S": "0.5"}
ANSWER_FIRST = (sys.executable, str(Path(__file__).with_name("programs") / "answer_first.py"))
REST_WITHIN_S = 240
"""Where a run gives up. Recovery waits for the owner's last moment to send, the acquirer's time-out and a
grace: 13 s in all."""

APPROVED, DECLINED, PARTIAL, NEVER_ANSWERED, GARBLED = 1000, 200005, 200010, 200068, 200069
"""Amounts and what the sandbox acquirer does with them."""
AMOUNTS = (APPROVED, APPROVED, NEVER_ANSWERED, APPROVED, PARTIAL, APPROVED, GARBLED, DECLINED)
REFUND_MINOR = 40
PAID = {"captured", "partially_refunded", "refunded"}


@dataclass(slots=True)
class Purchase:
    """One shopper's way through the shop, and what the shop was told."""

    serial: int
    minted: Answer | None = None
    paid: Answer | None = None
    rival: Answer | None = None
    """The answer to a second payment with the same token, under a key of its own."""
    refunded: Answer | None = None

    @property
    def number(self) -> str:
        return card_number(self.serial)

    @property
    def amount_minor(self) -> int:
        return AMOUNTS[self.serial % len(AMOUNTS)]

    @property
    def only_mints(self) -> bool:
        """Its token is kept for the end."""
        return self.serial % 9 == 8

    @property
    def has_rival(self) -> bool:
        return self.serial % 5 == 4

    def mint_request(self) -> tuple[str, object, str]:
        return "/v1/single_use_tokens", mint_body(self.number), f"mint-{self.serial}"

    def pay_request(self, who: str = "pay") -> tuple[str, object, str]:
        assert self.minted is not None
        source = {"single_use_token": self.minted.value["token"]}
        body = {"amount_minor": self.amount_minor, "currency": "USD", "source": source}
        return "/v1/payments", body, f"{who}-{self.serial}"

    def refund_request(self) -> tuple[str, object, str]:
        assert self.paid is not None
        path = f"/v1/payments/{self.paid.value['id']}/refunds"
        return path, {"amount_minor": REFUND_MINOR}, f"refund-{self.serial}"

    def acknowledged(self) -> Iterator[tuple[tuple[str, object, str], Answer]]:
        """Give every request that succeeded, with its answer."""
        if self.minted is not None and self.minted.status == 201:
            yield self.mint_request(), self.minted
        if self.paid is not None and self.paid.status == 201:
            yield self.pay_request(), self.paid
        if self.rival is not None and self.rival.status == 201:
            yield self.pay_request("rival"), self.rival
        if self.refunded is not None and self.refunded.status == 201:
            yield self.refund_request(), self.refunded


@dataclass(slots=True)
class Storm:
    """Shops that go on while their server is killed under them."""

    server: Server
    client: Client
    purchases: list[Purchase] = field(default_factory=list)
    interrupted: int = 0
    answered: int = 0
    _enough: int = 0
    _has_answered_enough: asyncio.Event = field(default_factory=asyncio.Event)
    _up: asyncio.Event = field(default_factory=asyncio.Event)
    _closing: bool = False
    _open: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OPEN_MAX))
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SHOPPERS))
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def rage(self, kills: int) -> None:
        """Shop, and kill and start the server again so many times; return with a running server.

        A server lives until it has given some answers, on a slow machine longer than on a fast one.
        """
        self._up.set()
        shop = asyncio.create_task(self._keep_shopping())
        for number in range(kills):
            self._enough = self.answered + 20 + number * 37 % 100
            self._has_answered_enough.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._has_answered_enough.wait(), LIFE_MAX_S)
            # Not always at the moment of an answer.
            await asyncio.sleep(number * 53 % 50 * 0.001)
            await self.kill()
        self._closing = True
        await shop

    async def kill(self) -> None:
        """Kill the server with whatever it is at, and start it again."""
        self._up.clear()
        await asyncio.to_thread(self.server.kill)
        await asyncio.to_thread(self.server.start)
        await self.client.moved(self.server.port)
        self._up.set()

    async def finish(self) -> None:
        """Let every shopper repeat until there is an answer to everything."""
        async with asyncio.timeout(REST_WITHIN_S):
            await asyncio.gather(*self._running)

    async def abandon(self) -> None:
        """Send the shoppers home, with what they have been told so far."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def ask(self, request: tuple[str, object, str]) -> Answer:
        path, body, key = request
        return await self.client.ask("POST", path, body, idempotency_key=key)

    async def _keep_shopping(self) -> None:
        for serial in count():
            await self._open.acquire()
            await self._slots.acquire()
            await self._up.wait()
            if self._closing:
                return
            purchase = Purchase(serial)
            self.purchases.append(purchase)
            task = asyncio.create_task(self._shop(purchase))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._open.release()
        if not task.cancelled():
            task.result()

    async def _shop(self, purchase: Purchase) -> None:
        turn = Turn(self._slots)
        try:
            purchase.minted = await self._insist(purchase.mint_request(), turn)
            if purchase.minted.status != 201 or purchase.only_mints:
                return
            paying = [self._pay(purchase, turn)]
            if purchase.has_rival:
                paying.append(self._pay_too(purchase, turn))
            await asyncio.gather(*paying)
            if (
                purchase.paid is not None
                and purchase.serial % 3 == 0
                and status_of(purchase.paid) == "captured"
            ):
                purchase.refunded = await self._insist(purchase.refund_request(), turn)
        finally:
            turn.give_up()

    async def _pay(self, purchase: Purchase, turn: Turn) -> None:
        purchase.paid = await self._insist(purchase.pay_request(), turn)

    async def _pay_too(self, purchase: Purchase, turn: Turn) -> None:
        purchase.rival = await self._insist(purchase.pay_request("rival"), turn)

    async def _insist(self, request: tuple[str, object, str], turn: Turn) -> Answer:
        """Repeat a request until it is answered for good."""
        while True:
            await self._up.wait()
            try:
                answer = await self.ask(request)
            except ConnectionLost:
                self.interrupted += 1
                continue
            if answer.status != 503 and answer.code != "idempotency_in_progress":
                self._count()
                return answer
            turn.give_up()
            await asyncio.sleep(3)

    def _count(self) -> None:
        self.answered += 1
        if self.answered >= self._enough:
            self._has_answered_enough.set()


class Turn:
    """A shopper's place at the counter; who has to wait for recovery lets the next one go first."""

    def __init__(self, slots: asyncio.Semaphore) -> None:
        self._slots: asyncio.Semaphore | None = slots

    def give_up(self) -> None:
        if self._slots is not None:
            self._slots.release()
            self._slots = None


def status_of(answer: Answer | None) -> str | None:
    return answer.value["status"] if answer is not None and answer.status == 201 else None


async def rest(server: Server) -> None:
    """Wait until recovery has nothing left to do."""
    async with asyncio.timeout(REST_WITHIN_S):
        while await server.rows("SELECT id FROM operation WHERE next_attempt_at IS NOT NULL"):  # noqa: ASYNC110
            await asyncio.sleep(0.5)


# --- the witnesses -----------------------------------------------------------------------------------


async def lost_tokens(storm: Storm) -> list[str]:
    """Give every token that was acknowledged and is not there any more, or is another, or was used."""
    return await _each(storm, _lost_token)


async def lost_payments(storm: Storm) -> list[str]:
    """Give every acknowledged answer that is another now, and every payment that is not what it was."""
    return await _each(storm, _lost_payments)


async def _each(storm: Storm, check: Callable[[Storm, Purchase], Awaitable[list[str]]]) -> list[str]:
    found: list[str] = []
    waiting = iter(storm.purchases)
    while some := list(islice(waiting, SHOPPERS)):
        for differences in await asyncio.gather(*(check(storm, purchase) for purchase in some)):
            found += differences
    return found


async def _lost_token(storm: Storm, purchase: Purchase) -> list[str]:
    if purchase.minted is None or purchase.minted.status != 201:
        return []
    token = purchase.minted.value
    look = await storm.client.ask("GET", f"/v1/single_use_tokens/{token['token']}")
    if look.status != 200 or _identity(look.value) != _identity(token):
        return [f"token of {purchase.serial} is gone or another: {look.status}"]
    if purchase.only_mints and look.value["status"] != "minted":
        return [f"token of {purchase.serial} is {look.value['status']} and nobody used it"]
    return []


async def _lost_payments(storm: Storm, purchase: Purchase) -> list[str]:
    found: list[str] = []
    for request, first in purchase.acknowledged():
        again = await storm.ask(request)
        if (again.status, again.body) != (first.status, first.body):
            found.append(f"{request[2]} was answered otherwise: {again.status} {again.code}")
    # A refund that never arrived was reversed, and its answer says so.
    refunded = purchase.refunded
    refunded_minor = (
        refunded.value["refunded_minor"] if refunded is not None and refunded.status == 201 else 0
    )
    for paid in (purchase.paid, purchase.rival):
        if paid is None or paid.status != 201:
            continue
        told = paid.value
        now = await storm.client.ask("GET", f"/v1/payments/{told['id']}")
        if now.status != 200 or not _continues(
            told, now.value, refunded_minor if paid is purchase.paid else 0
        ):
            found.append(f"payment {told['id']} was {told['status']} and now is {now.body!r}")
    return found


def _identity(token: dict[str, Any]) -> tuple[str, ...]:
    """Give what stays when a token is spent and its payload erased."""
    return (
        token["id"],
        token["created_at"],
        token["expires_at"],
        token["card"]["bin"],
        token["card"]["last_four"],
    )


def _continues(told: dict[str, object], now: dict[str, object], refunded_minor: int) -> bool:
    """Whether a payment can have become this after it was told to be that."""
    if now["amount_minor"] != told["amount_minor"] or now["refunded_minor"] != refunded_minor:
        return False
    if told["status"] == "in_doubt":
        return True
    if told["status"] in PAID:
        return now["status"] in PAID and now["captured_minor"] == told["captured_minor"]
    return now["status"] == told["status"]


async def disagreements(storm: Storm) -> list[str]:
    """Compare Farebox's tables with the acquirer's books; give every difference."""
    server = storm.server
    books = {entry.reference: entry for entry in server.books()}
    found = _double_spends(server, storm, books)
    live: set[str] = set()
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for operation, payment, kind, state, reference, approved_minor in await server.rows(
        "SELECT id, payment_id, kind, state, processor_reference, approved_minor FROM operation"
    ):
        if state == "failed":
            # Its reference, which stems from the key, may have been used again.
            continue
        entry = books.get(reference)
        live.add(reference)
        if not _agree(state, kind, approved_minor, entry):
            found.append(f"{operation} is {state} with {approved_minor}; the acquirer has {entry}")
        if entry is not None and entry.state == "approved":
            sums[payment][kind] += entry.approved_minor
    found += [f"the acquirer has {reference}, Farebox has not" for reference in books.keys() - live]
    for payment, captured, refunded in await server.rows(
        "SELECT id, captured_minor, refunded_minor FROM payment"
    ):
        by_books = sums[payment]
        if (captured, refunded) != (by_books["purchase"], by_books["refund"]):
            found.append(f"{payment} has {captured} and {refunded}; by the acquirer's books {by_books}")
    return found


def _agree(state: str, kind: str, approved_minor: int, entry: BookEntry | None) -> bool:
    if state == "reversed":
        return entry is None or entry.state != "approved"
    if entry is None or entry.kind != kind:
        return False
    if state == "approved":
        return (entry.state, entry.approved_minor) == ("approved", approved_minor)
    return state == "declined" and entry.state in {"declined", "reversed"}


def _double_spends(server: Server, storm: Storm, books: dict[str, BookEntry]) -> list[str]:
    approved = Counter(
        entry.fingerprint for entry in books.values() if (entry.kind, entry.state) == ("purchase", "approved")
    )
    return [
        f"the token of {purchase.serial} was spent {times} times"
        for purchase in storm.purchases
        if (times := approved[server.book_fingerprint(purchase.number)]) > 1
    ]


# --- the proofs --------------------------------------------------------------------------------------


async def prove(server: Server, kills: int) -> str:
    """Let a storm go over a server, and hear the witnesses; give the figures."""
    server.start()
    storm = Storm(server, Client(server.port, server.credentials["native"]["secret_key"]))
    await storm.rage(kills)
    await storm.finish()
    await rest(server)
    # What recovery has found out must outlive a kill as well.
    await storm.kill()
    assert await disagreements(storm) == []
    assert await lost_tokens(storm) + await lost_payments(storm) == []
    states = dict(await server.rows("SELECT state, COUNT(*) FROM operation GROUP BY state"))
    assert not states.keys() & {"submitted", "in_doubt", "pending"}

    told = Counter(status_of(purchase.paid) for purchase in storm.purchases)
    assert storm.interrupted > 0, "no kill hit anything"
    assert told["captured"] > 0
    assert told["in_doubt"] > 0
    assert any(status_of(purchase.refunded) == "partially_refunded" for purchase in storm.purchases)
    for purchase in storm.purchases:
        if purchase.only_mints:
            paid = await storm.ask(purchase.pay_request())
            assert paid.status == 201, f"a token that was never used does not pay: {paid.body!r}"
    await storm.client.close()
    return (
        f"{kills} kills, {len(storm.purchases)} purchases, {storm.interrupted} requests interrupted; {states}"
    )


async def test_nothing_acknowledged_is_lost_and_nothing_is_spent_twice_however_often_it_is_killed(
    new_server: NewServer, postgres_url: str, full_scale: bool
) -> None:
    """I1 to I14: what was acknowledged stays, each token pays once, and every operation comes to an end.

    Both engines at the same time: most of it is waiting for recovery's grace.
    """
    embedded, networked = new_server(None, **SETTINGS), new_server(postgres_url, **SETTINGS)
    figures = await asyncio.gather(
        prove(embedded, KILLS_FULL if full_scale else KILLS["sqlite"]),
        prove(networked, KILLS_FULL if full_scale else KILLS["postgres"]),
    )
    print("\n".join(figures))  # noqa: T201  # what a run at full scale is quoted from


async def test_the_storm_finds_what_is_lost_when_answers_come_before_their_commit(
    new_server: NewServer,
) -> None:
    """Negative control of I2: acknowledged before durable, and the check above finds what the kills took."""
    server = new_server(None, program=ANSWER_FIRST, **SETTINGS)
    server.start()
    storm = Storm(server, Client(server.port, server.credentials["native"]["secret_key"]))
    await storm.rage(KILLS_OF_CONTROL)
    await storm.abandon()
    assert await lost_tokens(storm) != []
    await storm.client.close()
