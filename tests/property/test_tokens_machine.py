"""Single-use tokens in the real repository against the table of their life."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from farebox.adapters.storage import tokens as repository
from farebox.adapters.storage.connection import ConstraintViolated, to_us
from farebox.domain.ids import OperationId, SingleUseTokenId
from farebox.domain.instruments import summary_of
from farebox.domain.tokens import (
    TERMINAL,
    TRANSITIONS,
    SealedSingleUse,
    SingleUseToken,
    TokenEvent,
    TokenState,
)
from farebox.testing.clock import VirtualClock
from farebox.testing.shoppers import NUMBERS, card
from farebox.testing.storage import Database
from farebox.testing.world import TENANTS

VERIFICATIONS_MAX = 1
NO_OFFSET = timedelta(0)
OWNER, STRANGER = TENANTS[0], TENANTS[1]


@dataclass
class Model:
    """What a token should be."""

    id: SingleUseTokenId
    mac: bytes
    expires_at_us: int
    state: TokenState = TokenState.MINTED
    operation_id: OperationId | None = None
    verifications: int = 0
    cvc_taken: bool = False

    def step(self, event: TokenEvent) -> None:
        """Move as the domain's table says; a move that it does not have is an error of the machine."""
        self.state = TRANSITIONS[self.state][event]


class TokenLife(RuleBasedStateMachine):
    """Does everything to tokens in every order, and compares with the table after every step."""

    tokens = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.database = Database(self.clock.wall_us, lambda previous, entry: previous + entry)
        self.models: list[Model] = []
        self.operations = 0

    def teardown(self) -> None:
        self.database.close()

    def live(self, model: Model) -> bool:
        return model.state is TokenState.MINTED and model.expires_at_us > self.clock.wall_us()

    def new_operation(self) -> OperationId:
        self.operations += 1
        return OperationId(f"op_{self.operations}")

    @rule(target=tokens, lifetime_s=st.sampled_from([60, 300]))
    def mint(self, lifetime_s: int) -> Model:
        number = len(self.models)
        expires_at = self.clock.now() + timedelta(seconds=lifetime_s)
        model = Model(SingleUseTokenId(f"tok_{number}"), number.to_bytes(32, "big"), to_us(expires_at))
        token = SingleUseToken(
            id=model.id,
            tenant=OWNER,
            token_mac=model.mac,
            state=TokenState.MINTED,
            summary=summary_of(card(NUMBERS[0]), bin_length=6),
            fingerprint=b"f",
            created_at=self.clock.now(),
            expires_at=expires_at,
            dialect="native",
            sealed=SealedSingleUse(0, b"payload", b"details", b"cvc"),
        )
        self.database.transact(lambda uow: uow.tokens.insert(token))
        self.models.append(model)
        return model

    @rule(seconds=st.sampled_from([1, 59, 60, 61, 240]))
    def time_passes(self, seconds: int) -> None:
        self.clock.elapsed_us += seconds * 1_000_000

    @rule(model=tokens)
    def reserve(self, model: Model) -> None:
        operation_id = self.new_operation()
        token = self.database.transact(
            lambda uow: uow.tokens.reserve(OWNER, model.mac, operation_id, NO_OFFSET)
        )
        assert (token is not None) == self.live(model)
        if token is not None:
            model.step(TokenEvent.RESERVE)
            model.operation_id = operation_id
            assert token.sealed is not None

    @rule(model=tokens)
    def a_stranger_reserves(self, model: Model) -> None:
        operation_id = self.new_operation()
        assert (
            self.database.transact(
                lambda uow: uow.tokens.reserve(STRANGER, model.mac, operation_id, NO_OFFSET)
            )
            is None
        )

    @rule(model=tokens)
    def verify(self, model: Model) -> None:
        operation_id = self.new_operation()
        token = self.database.transact(
            lambda uow: uow.tokens.take_verification(
                OWNER, model.mac, operation_id, NO_OFFSET, VERIFICATIONS_MAX
            )
        )
        allowed = self.live(model) and model.verifications < VERIFICATIONS_MAX
        assert (token is not None) == allowed
        if token is not None:
            assert token.sealed is not None
            assert (token.sealed.cvc is not None) == (not model.cvc_taken)
            model.step(TokenEvent.VERIFY)
            model.verifications += 1
            model.cvc_taken = True

    @rule(model=tokens, by_owner=st.booleans())
    def settle(self, model: Model, by_owner: bool) -> None:
        operation_id = model.operation_id if by_owner and model.operation_id else self.new_operation()
        done = self.database.transact(lambda uow: uow.tokens.settle(model.id, OWNER, operation_id))
        assert done == (model.state is TokenState.RESERVED and operation_id == model.operation_id)
        if done:
            model.step(TokenEvent.SETTLE)

    @rule(model=tokens, by_owner=st.booleans())
    def give_back(self, model: Model, by_owner: bool) -> None:
        operation_id = model.operation_id if by_owner and model.operation_id else self.new_operation()
        state = self.database.transact(
            lambda uow: uow.tokens.give_back(model.id, OWNER, operation_id, NO_OFFSET)
        )
        if model.state is not TokenState.RESERVED or operation_id != model.operation_id:
            assert state is None
            return
        in_time = model.expires_at_us > self.clock.wall_us()
        model.step(TokenEvent.RELEASE if in_time else TokenEvent.EXPIRE)
        model.operation_id = None if in_time else model.operation_id
        assert state is model.state

    @rule(model=tokens)
    def revoke(self, model: Model) -> None:
        revoked = self.database.transact(lambda uow: uow.tokens.revoke(OWNER, model.mac, NO_OFFSET))
        assert (revoked is not None) == self.live(model)
        if revoked is not None:
            model.step(TokenEvent.REVOKE)

    @rule()
    def expire(self) -> None:
        expired = {token.id for token in self.database.transact(lambda uow: uow.tokens.expire_due(1000))}
        due = [m for m in self.models if m.state is TokenState.MINTED and not self.live(m)]
        assert expired == {model.id for model in due}
        for model in due:
            model.step(TokenEvent.EXPIRE)

    @invariant()
    def the_database_says_the_same(self) -> None:
        rows = self.database.rows(
            "SELECT id, state, verifications, payload IS NULL AND details IS NULL AND cvc IS NULL"
            " FROM single_use_token ORDER BY token_mac"
        )
        expected = [
            (model.id, model.state.value, model.verifications, int(model.state in TERMINAL))
            for model in self.models
        ]
        assert rows == expected


TestTokenLife = TokenLife.TestCase
TestTokenLife.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize(
    ("statement", "condition"),
    [
        ("RESERVE", " AND state = 'minted'"),
        ("SETTLE", " AND operation_id = $4"),
        ("TAKE_VERIFICATION", " AND verifications < $6"),
    ],
)
def test_the_machine_notices_a_missing_condition(
    monkeypatch: pytest.MonkeyPatch, statement: str, condition: str
):
    """The machine above is worth something: without one condition of the repository it fails."""
    sql: str = getattr(repository, statement)
    assert condition in sql
    number = condition.rpartition("$")[2] if "$" in condition else None
    # The parameter stays bound, so that the statement still takes what it is given.
    monkeypatch.setattr(
        repository, statement, sql.replace(condition, f" AND ${number} IS NOT NULL" if number else "")
    )
    with pytest.raises((AssertionError, ConstraintViolated)):
        run_state_machine_as_test(
            TokenLife,
            settings=settings(
                max_examples=200,
                stateful_step_count=40,
                deadline=None,
                database=None,
                derandomize=True,
                report_multiple_bugs=False,
                phases=[Phase.generate],
            ),
        )
