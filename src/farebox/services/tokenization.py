"""Single-use tokens: issued, looked at, revoked, expired."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from farebox.domain.access import Mode, Principal
from farebox.domain.cards import Card
from farebox.domain.errors import Conflict, ErrorCode, FareboxError, InvalidRequest, LimitExceeded, NotFound
from farebox.domain.events import Event, EventType
from farebox.domain.facts import check_facts
from farebox.domain.ids import SingleUseTokenId
from farebox.domain.instruments import InstrumentSummary, summary_of
from farebox.domain.tokens import (
    SingleUseToken,
    TokenRules,
    TokenState,
    TokenString,
)
from farebox.ports.secrets import Secrets, TokenClass
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock
from farebox.ports.telemetry import Telemetry
from farebox.services.commands import (
    Context,
    LookAtSingleUseToken,
    MintSingleUseToken,
    RevokeSingleUseToken,
    SingleUseTokenView,
)
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.vaulting import Vaulting

PROBING_ALERT_AT = 5
PROBING_REFUSED_AT = 20
"""Distinct cards of one BIN and last four a day, in live mode. Source: security design §3.5."""


class Tokenization:
    """Issues single-use tokens and ends their lives."""

    def __init__(
        self,
        *,
        storage: Storage,
        vaulting: Vaulting,
        secrets: Secrets,
        clock: Clock,
        ids: Ids,
        telemetry: Telemetry,
        bin_length: int,
    ) -> None:
        """Take what it works with; `bin_length` is 6 or 8 (SEC-04)."""
        self._storage = storage
        self._vaulting = vaulting
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._telemetry = telemetry
        self._bin_length = bin_length

    async def mint(
        self,
        command: MintSingleUseToken,
        context: Context[SingleUseTokenView],
        claim: Claim[SingleUseTokenView],
    ) -> SingleUseTokenView:
        """Seal an instrument and give a token for it, durable before it is given.

        Raises:
            InvalidRequest: `lifetime_invalid` or `card_expired`.
            NotFound: `customer_not_found`.
            LimitExceeded: `card_probing_refused`.
        """
        principal, rules = context.principal, context.rules
        lifetime = _lifetime_s(command.lifetime_s, rules)
        wall = self._clock.now()
        now = wall + principal.clock_offset
        _check_not_expired(command, now)
        real_expires_at = datetime.fromtimestamp(wall.timestamp() + lifetime, UTC)
        await self._vaulting.prepare(principal.tenant, real_expires_at)
        token_id = SingleUseTokenId(self._ids.new("tok"))
        string = self._ids.token(rules.shape)
        sealed = self._vaulting.seal_single_use(
            command.instrument,
            command.details,
            tenant=principal.tenant,
            token_id=token_id,
            string=string,
            real_expires_at=real_expires_at,
        )
        token = SingleUseToken(
            id=token_id,
            tenant=principal.tenant,
            token_mac=self._mac(string, principal),
            state=TokenState.MINTED,
            summary=summary_of(command.instrument, bin_length=self._bin_length),
            fingerprint=self._vaulting.fingerprint(command.instrument, principal.tenant),
            created_at=now,
            expires_at=real_expires_at + principal.clock_offset,
            dialect=context.dialect,
            sealed=sealed,
            customer_id=command.customer_id,
            metadata=command.metadata,
            facts=check_facts(command.facts),
        )
        view = SingleUseTokenView(token, string, command.details, now)
        event = self._event(EventType.SINGLE_USE_TOKEN_MINTED, token, 1)

        async def work(uow: UnitOfWork) -> int:
            await claim.begin(uow)
            if token.customer_id and await uow.customers.find(token.tenant, token.customer_id) is None:
                raise NotFound(ErrorCode.CUSTOMER_NOT_FOUND, param="customer")
            distinct = await self._refuse_probing(uow, token)
            await uow.tokens.insert(token)
            await uow.events.append((event,))
            await claim.finish(uow, view, bucket_minute=sealed.bucket_minute)
            return distinct

        distinct = await self._storage.write(work)
        self._telemetry.observe((event,))
        if distinct >= PROBING_ALERT_AT:
            self._telemetry.card_probing(distinct)
        return view

    async def look(
        self,
        command: LookAtSingleUseToken,
        context: Context[SingleUseTokenView],
        claim: Claim[SingleUseTokenView],
    ) -> SingleUseTokenView:
        """Show a token and change nothing.

        Raises:
            NotFound: `token_not_found`, for a stranger's token too (I12).
        """
        principal = context.principal
        mac = self._mac(command.token, principal)
        token = await self._storage.look_up(lambda uow: uow.tokens.find(principal.tenant, mac))
        if token is None:
            raise NotFound(ErrorCode.TOKEN_NOT_FOUND, param="token")
        return self._view(token, command.token, principal)

    async def revoke(
        self,
        command: RevokeSingleUseToken,
        context: Context[SingleUseTokenView],
        claim: Claim[SingleUseTokenView],
    ) -> SingleUseTokenView:
        """End a token's life; revoking a revoked token again is harmless.

        Raises:
            NotFound: `token_not_found`.
            Conflict: it was spent, is being spent, or has expired.
        """
        principal = context.principal
        mac = self._mac(command.token, principal)

        async def work(uow: UnitOfWork) -> tuple[SingleUseToken, Event | None]:
            revoked = await uow.tokens.revoke(principal.tenant, mac, principal.clock_offset)
            if revoked is None:
                token = await uow.tokens.find(principal.tenant, mac)
                if token is not None and token.state is TokenState.REVOKED:
                    return token, None
                raise explain_refusal(token, param="token")
            event = self._event(EventType.SINGLE_USE_TOKEN_REVOKED, revoked, 3)
            await uow.events.append((event,))
            return revoked, event

        token, event = await self._storage.write(work)
        if event is not None:
            self._telemetry.observe((event,))
        return self._view(token, command.token, principal)

    async def expire_due(self, limit: int = 500) -> int:
        """Move minted tokens past their time to expired and erase them; give how many (SEC-06)."""

        async def work(uow: UnitOfWork) -> list[Event]:
            expired = await uow.tokens.expire_due(limit)
            events = [self._event(EventType.SINGLE_USE_TOKEN_EXPIRED, token, 3) for token in expired]
            if events:
                await uow.events.append(events)
            return events

        events = await self._storage.write(work)
        self._telemetry.observe(events)
        return len(events)

    def _mac(self, string: TokenString, principal: Principal) -> bytes:
        return self._secrets.token_mac(string, TokenClass.SINGLE_USE, principal.tenant)

    def _view(self, token: SingleUseToken, string: TokenString, principal: Principal) -> SingleUseTokenView:
        now = self._clock.now() + principal.clock_offset
        if token.state is TokenState.MINTED and token.expires_at <= now:
            # The worker has not come by yet; for everybody it is over already.
            token = replace(token, state=TokenState.EXPIRED, sealed=None)
        details = self._vaulting.details_of_single_use(token, string) if token.sealed else None
        return SingleUseTokenView(token, string, details, now)

    def _event(self, type_: EventType, token: SingleUseToken, sequence: int) -> Event:
        return self._ids.event(
            type_,
            token.tenant,
            token.id,
            at=self._clock.now(),
            sequence=sequence,
            data={"dialect": token.dialect, "kind": token.summary.kind.value},
        )

    async def _refuse_probing(self, uow: UnitOfWork, token: SingleUseToken) -> int:
        """Stop somebody who enumerates the middle digits of a card; give how many were tried today.

        Only live numbers are counted.
        """
        if token.tenant.mode is not Mode.LIVE:
            return 0
        day = int(token.created_at.timestamp()) // 86400
        distinct = await uow.probing.count(token.tenant, _shape_of(token.summary), day, token.fingerprint)
        if distinct > PROBING_REFUSED_AT:
            raise LimitExceeded(ErrorCode.CARD_PROBING_REFUSED)
        return distinct


def explain_refusal(token: SingleUseToken | None, *, param: str) -> FareboxError:
    """Say why the token in this parameter cannot be used: unknown, in flight, spent, expired or revoked."""
    if token is None:
        return NotFound(ErrorCode.TOKEN_NOT_FOUND, param=param)
    codes = {
        # Minted but refused by a write that asks for a live one: its time is over.
        TokenState.MINTED: ErrorCode.TOKEN_EXPIRED,
        TokenState.RESERVED: ErrorCode.TOKEN_IN_FLIGHT,
        TokenState.SPENT: ErrorCode.TOKEN_ALREADY_CONSUMED,
        TokenState.EXPIRED: ErrorCode.TOKEN_EXPIRED,
        TokenState.REVOKED: ErrorCode.TOKEN_REVOKED,
    }
    return Conflict(codes[token.state], param=param)


def _lifetime_s(asked: int | None, rules: TokenRules) -> int:
    lifetime_s = rules.lifetime_s if asked is None else asked
    if not rules.allows_lifetime(lifetime_s):
        raise InvalidRequest(ErrorCode.LIFETIME_INVALID, param="lifetime_s")
    return lifetime_s


def _check_not_expired(command: MintSingleUseToken, now: datetime) -> None:
    if isinstance(command.instrument, Card) and command.instrument.expiry.passed(now.date()):
        raise InvalidRequest(ErrorCode.CARD_EXPIRED, param="card.exp_year")


def _shape_of(summary: InstrumentSummary) -> str:
    return f"{summary.bin or summary.bank or ''}:{summary.last_four}"
