"""Many clients race for every token; the acquirer's own books say how often each was paid with.

The same race is run against servers with a guard taken out. Two guards stand behind each other, the
conditional write and the schema's, and either one suffices; without both the race must find double spends,
or it could not find any.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from farebox.testing.client import Answer, Client, Connection, card_number, mint_body
from farebox.testing.server import PROGRAM, Server

NewServer = Callable[..., Server]

CLIENTS = 64
TOKENS = {"sqlite": 200, "postgres": 60}
TOKENS_FULL = 10_000
TOKENS_OF_CONTROLS = 10
READ_THEN_WRITE = (sys.executable, str(Path(__file__).with_name("programs") / "read_then_write.py"))
SETTINGS = {"ACCESS_LOG": "false", "RATE_LIMITS__PER_S": "0"}
SCHEMA_GUARDS = ("INDEX one_live_operation", "TRIGGER single_use_token_moves", "TRIGGER operation_moves")


@dataclass(frozen=True, slots=True)
class Raced:
    """What the clients were told: for each card the answers of everybody who paid with its token."""

    answers: dict[str, list[Answer]]


def client_of(server: Server) -> Client:
    return Client(server.port, server.credentials["native"]["secret_key"])


async def mint_all(client: Client, numbers: list[str]) -> list[str]:
    tokens: list[str] = []
    for start in range(0, len(numbers), CLIENTS):
        minting = [
            client.ask("POST", "/v1/single_use_tokens", mint_body(number))
            for number in numbers[start : start + CLIENTS]
        ]
        tokens += [answer.value["token"] for answer in await asyncio.gather(*minting)]
    return tokens


async def race(server: Server, tokens_count: int, key_of: Callable[[str, int], str | None]) -> Raced:
    """Mint, then let every client pay with every token, all of them at the same moment.

    Args:
        server: a running server.
        tokens_count: how many tokens are raced for, one after the other.
        key_of: gives the idempotency key of a client's payment with a token.
    """
    client = client_of(server)
    numbers = [card_number(serial) for serial in range(tokens_count)]
    tokens = await mint_all(client, numbers)
    connections = [await Connection.open(server.port) for _ in range(CLIENTS)]
    raced = Raced({})
    for number, token in zip(numbers, tokens, strict=True):
        body = {"amount_minor": 100, "currency": "USD", "source": {"single_use_token": token}}
        paying = [
            connection.send(
                client.request("POST", "/v1/payments", body, idempotency_key=key_of(token, place))
            )
            for place, connection in enumerate(connections)
        ]
        raced.answers[number] = list(await asyncio.gather(*paying))
    for connection in connections:
        connection.close()
    await client.close()
    return raced


def half_with_keys(token: str, place: int) -> str | None:
    """Every other client sends no key; the others each their own."""
    return f"{token}-{place}" if place % 2 else None


def one_key(token: str, place: int) -> str:
    """All clients repeat one request."""
    return token


def not_paid_once(server: Server, raced: Raced) -> list[str]:
    """Give the cards that the acquirer did not approve, or receive, exactly once."""
    approved: Counter[bytes | None] = Counter()
    for entry in server.books():
        if entry.kind == "purchase":
            approved[entry.fingerprint] += entry.received if entry.state == "approved" else 0
    return [number for number in raced.answers if approved[server.book_fingerprint(number)] != 1]


@pytest.fixture
def tokens_count(request: pytest.FixtureRequest, database_url: str | None, full_scale: bool) -> int:
    return TOKENS_FULL if full_scale else TOKENS["postgres" if database_url else "sqlite"]


async def test_a_token_that_everybody_races_for_is_paid_with_once(
    new_server: NewServer, database_url: str | None, tokens_count: int
) -> None:
    """R1, I1: of 64 payments with one token the acquirer sees one, and 63 callers are told so."""
    server = new_server(database_url, **SETTINGS)
    server.start()
    raced = await race(server, tokens_count, half_with_keys)
    assert not_paid_once(server, raced) == []
    for answers in raced.answers.values():
        told = Counter(answer.status for answer in answers)
        assert told == {201: 1, 409: CLIENTS - 1}
        refusals = {answer.code for answer in answers} - {None}
        assert refusals <= {"token_in_flight", "token_already_consumed"}
    assert len(server.books()) == tokens_count
    assert await server.rows("SELECT state, COUNT(*) FROM single_use_token GROUP BY state") == [
        ("spent", tokens_count)
    ]


async def test_a_request_that_everybody_repeats_is_made_once(
    new_server: NewServer, database_url: str | None
) -> None:
    """SEC-20: 64 requests with one idempotency key are one payment, and all get its answer."""
    server = new_server(database_url, **SETTINGS)
    server.start()
    raced = await race(server, TOKENS_OF_CONTROLS, one_key)
    assert not_paid_once(server, raced) == []
    for answers in raced.answers.values():
        assert {answer.status for answer in answers} == {201}
        assert len({answer.body for answer in answers}) == 1
    assert len(server.books()) == TOKENS_OF_CONTROLS


async def drop_schema_guards(server: Server, database_url: str | None) -> None:
    for guard in SCHEMA_GUARDS:
        table = "single_use_token" if "single_use" in guard else "operation"
        of_table = f" ON {table}" if database_url and guard.startswith("TRIGGER") else ""
        await server.rows(f"DROP {guard}{of_table}")


@pytest.mark.parametrize(
    ("program", "schema_guards", "is_safe"),
    [
        pytest.param(READ_THEN_WRITE, False, False, id="neither"),
        pytest.param(READ_THEN_WRITE, True, True, id="schema alone"),
        pytest.param(PROGRAM, False, True, id="conditional write alone"),
    ],
)
async def test_either_guard_suffices_and_without_both_the_race_finds_double_spends(
    new_server: NewServer,
    database_url: str | None,
    program: tuple[str, ...],
    schema_guards: bool,
    is_safe: bool,
) -> None:
    """Negative control of R1 and I1: the check above fails when the mechanism is taken out."""
    server = new_server(database_url, program=program, **SETTINGS)
    if not schema_guards:
        await drop_schema_guards(server, database_url)
    server.start()
    raced = await race(server, TOKENS_OF_CONTROLS, half_with_keys)
    assert bool(not_paid_once(server, raced)) is not is_safe
