"""What merchants do with webhooks: endpoints, secrets, and a look at what was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from farebox.domain.access import Scope, Tenant
from farebox.domain.errors import Conflict, ErrorCode, InvalidRequest, NotFound
from farebox.domain.events import Event, EventType
from farebox.domain.facts import check_facts
from farebox.domain.ids import DeliveryId, EventId, WebhookEndpointId
from farebox.domain.webhooks import (
    ENDPOINTS_MAX,
    Delivery,
    DisabledReason,
    SigningSecret,
    WebhookEndpoint,
    account_owner,
)
from farebox.ports.delivery import Sender
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Page, Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.services.callbacks import CallbackTable
from farebox.services.commands import (
    AccountSecretView,
    Context,
    CreateWebhookEndpoint,
    DeleteWebhookEndpoint,
    DeliveryView,
    GetAccountSecret,
    GetDelivery,
    GetWebhookEndpoint,
    ListDeliveries,
    ListWebhookEndpoints,
    PingWebhookEndpoint,
    ReplayDelivery,
    ResendEvent,
    RotateAccountSecret,
    RotateWebhookSecret,
    UpdateWebhookEndpoint,
    WebhookEndpointView,
)
from farebox.services.idempotency import Claim
from farebox.services.ids import Ids
from farebox.services.webhooks import Webhooks

OVERLAP_MAX = timedelta(days=7)
SECRET_LENGTH_MAX = 512
_ENTROPY_BYTES = 32


class WebhookEndpoints:
    """Keeps who is told, and shows what became of it."""

    def __init__(
        self,
        *,
        storage: Storage,
        secrets: Secrets,
        sender: Sender,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
        callbacks: CallbackTable,
        webhooks: Webhooks,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._secrets = secrets
        self._sender = sender
        self._clock = clock
        self._ids = ids
        self._randomness = randomness
        self._callbacks = callbacks
        self._webhooks = webhooks

    # --- endpoints ---------------------------------------------------------------------------------

    async def create(
        self,
        command: CreateWebhookEndpoint,
        context: Context[WebhookEndpointView],
        claim: Claim[WebhookEndpointView],
    ) -> WebhookEndpointView:
        """Keep an endpoint and its first secret.

        Raises:
            InvalidRequest: `url_refused`; `parameter_invalid` when there are too many, or for a secret that
                is empty or too long; `metadata_invalid` when its facts hold a card number.
        """
        tenant = context.principal.tenant
        self._sender.check(command.url, tenant.mode)
        now = self._clock.now()
        endpoint = WebhookEndpoint(
            id=WebhookEndpointId(self._ids.new("we")),
            tenant=tenant,
            dialect=context.dialect,
            kind=command.kind,
            url=command.url,
            created_at=now,
            updated_at=now,
            event_types=tuple(command.event_types),
            disabled=None if command.is_enabled else DisabledReason.MERCHANT,
            description=command.description,
            facts=check_facts(command.facts),
        )
        secret = self._secret(command.secret, context.dialect, command.kind)
        view = WebhookEndpointView(endpoint, secret)

        async def work(uow: UnitOfWork) -> None:
            await claim.begin(uow)
            if await uow.webhooks.count_endpoints(tenant) >= ENDPOINTS_MAX:
                raise InvalidRequest(
                    ErrorCode.PARAMETER_INVALID, detail=f"There are {ENDPOINTS_MAX} endpoints already."
                )
            await uow.webhooks.insert_endpoint(endpoint)
            await self._insert_secret(uow, secret, tenant, endpoint.id, now)
            await claim.finish(uow, view)

        await self._storage.write(work)
        return view

    async def get(
        self,
        command: GetWebhookEndpoint,
        context: Context[WebhookEndpointView],
        claim: Claim[WebhookEndpointView],
    ) -> WebhookEndpointView:
        """Show an endpoint.

        Raises:
            NotFound: `webhook_endpoint_not_found`.
        """
        principal = context.principal
        shows_secret = command.with_secret and Scope.WEBHOOKS_WRITE in principal.scopes

        async def work(uow: UnitOfWork) -> WebhookEndpointView:
            endpoint = await _living(uow, principal.tenant, command.endpoint_id)
            secret = await self._newest(uow, principal.tenant, endpoint.id) if shows_secret else None
            return WebhookEndpointView(endpoint, secret.secret if secret else None)

        return await self._storage.read(work)

    async def page(
        self, command: ListWebhookEndpoints, context: Context[Any], claim: Claim[Any]
    ) -> Page[WebhookEndpointView]:
        """List configured endpoints."""
        tenant = context.principal.tenant
        found = await self._storage.read(lambda uow: uow.webhooks.page_endpoints(tenant, command.page))
        return Page([WebhookEndpointView(endpoint) for endpoint in found.items], found.has_more)

    async def update(
        self,
        command: UpdateWebhookEndpoint,
        context: Context[WebhookEndpointView],
        claim: Claim[WebhookEndpointView],
    ) -> WebhookEndpointView:
        """Change an endpoint.

        Raises:
            NotFound: `webhook_endpoint_not_found`.
            InvalidRequest: as `create` refuses.
            Conflict: `document_state_conflict` when somebody changed it at the same time.
        """
        tenant = context.principal.tenant
        if command.url is not None:
            self._sender.check(command.url, tenant.mode)
        now = self._clock.now()

        async def work(uow: UnitOfWork) -> WebhookEndpointView:
            await claim.begin(uow)
            endpoint = _changed(await _living(uow, tenant, command.endpoint_id), command, now)
            if not await uow.webhooks.update_endpoint(endpoint):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            if command.secret is not None:
                secret = self._secret(command.secret, endpoint.dialect, endpoint.kind)
                await uow.webhooks.expire_secrets(tenant, endpoint.id, now)
                await self._insert_secret(uow, secret, tenant, endpoint.id, now)
            view = WebhookEndpointView(replace(endpoint, version=endpoint.version + 1))
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def delete(
        self,
        command: DeleteWebhookEndpoint,
        context: Context[WebhookEndpointView],
        claim: Claim[WebhookEndpointView],
    ) -> WebhookEndpointView:
        """Delete an endpoint with its secrets.

        Raises:
            NotFound: `webhook_endpoint_not_found`.
        """
        tenant, now = context.principal.tenant, self._clock.now()

        async def work(uow: UnitOfWork) -> WebhookEndpointView:
            await claim.begin(uow)
            endpoint = await _living(uow, tenant, command.endpoint_id)
            deleted = replace(endpoint, deleted_at=now, updated_at=now, facts={})
            if not await uow.webhooks.update_endpoint(deleted):
                raise Conflict(ErrorCode.DOCUMENT_STATE_CONFLICT)
            await uow.webhooks.forget_secrets(tenant, endpoint.id)
            view = WebhookEndpointView(replace(deleted, version=deleted.version + 1))
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def ping(self, command: PingWebhookEndpoint, context: Context[Event], claim: Claim[Event]) -> Event:
        """Append an event that only this endpoint hears of.

        Raises:
            NotFound: `webhook_endpoint_not_found`.
        """
        tenant, now = context.principal.tenant, self._clock.now()

        async def work(uow: UnitOfWork) -> Event:
            await claim.begin(uow)
            endpoint = await _living(uow, tenant, command.endpoint_id)
            event = self._ids.event(
                EventType.WEBHOOK_ENDPOINT_PINGED,
                tenant,
                endpoint.id,
                at=now,
                sequence=endpoint.version,
                data={"url": endpoint.url},
            )
            await uow.events.append((event,))
            await claim.finish(uow, event)
            return event

        return await self._storage.write(work)

    # --- secrets -----------------------------------------------------------------------------------

    async def rotate(
        self,
        command: RotateWebhookSecret,
        context: Context[WebhookEndpointView],
        claim: Claim[WebhookEndpointView],
    ) -> WebhookEndpointView:
        """Make an endpoint's next secret; both sign until the overlap is over.

        Raises:
            NotFound: `webhook_endpoint_not_found`.
            InvalidRequest: `parameter_invalid` for an overlap beyond a week.
        """
        tenant, now = context.principal.tenant, self._clock.now()
        _check_overlap(command.overlap)

        async def work(uow: UnitOfWork) -> WebhookEndpointView:
            await claim.begin(uow)
            endpoint = await _living(uow, tenant, command.endpoint_id)
            secret = self._secret(None, endpoint.dialect, endpoint.kind)
            await uow.webhooks.expire_secrets(tenant, endpoint.id, now + command.overlap)
            await self._insert_secret(uow, secret, tenant, endpoint.id, now)
            view = WebhookEndpointView(endpoint, secret)
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def rotate_account(
        self,
        command: RotateAccountSecret,
        context: Context[AccountSecretView],
        claim: Claim[AccountSecretView],
    ) -> AccountSecretView:
        """Make the secret that signs everything this dialect sends to the merchant.

        Raises:
            InvalidRequest: `parameter_invalid` for an overlap beyond a week.
        """
        tenant, now = context.principal.tenant, self._clock.now()
        owner = account_owner(context.dialect)
        _check_overlap(command.overlap)
        kind = next(iter(self._callbacks.get(context.dialect, {})), "")
        secret = self._secret(command.secret, context.dialect, kind)

        async def work(uow: UnitOfWork) -> AccountSecretView:
            await claim.begin(uow)
            await uow.webhooks.expire_secrets(tenant, owner, now + command.overlap)
            number = await self._insert_secret(uow, secret, tenant, owner, now)
            view = AccountSecretView(secret, now, number)
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def account(
        self, command: GetAccountSecret, context: Context[Any], claim: Claim[Any]
    ) -> AccountSecretView | None:
        """Show the merchant's newest secret in this dialect."""
        tenant, owner = context.principal.tenant, account_owner(context.dialect)
        return await self._storage.read(lambda uow: self._newest(uow, tenant, owner))

    def _secret(self, given: str | None, dialect: str, kind: str) -> str:
        """Take the caller's secret, or make one as the dialect writes them."""
        callbacks = self._callbacks.get(dialect, {}).get(kind)
        if callbacks is None:
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="kind")
        if given is None:
            return callbacks.new_secret(self._randomness.bytes(_ENTROPY_BYTES))
        if not 0 < len(given) <= SECRET_LENGTH_MAX:
            raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="secret")
        return given

    async def _insert_secret(
        self, uow: UnitOfWork, secret: str, tenant: Tenant, owner: str, now: datetime
    ) -> int:
        """Seal and store an owner's next secret; give its number."""
        known = await uow.webhooks.secrets(tenant, owner)
        number = known[0].number + 1 if known else 1
        sealed = self._secrets.seal_signing_secret(secret, tenant=tenant, owner=owner)
        await uow.webhooks.insert_secret(SigningSecret(tenant, owner, number, sealed, now))
        return number

    async def _newest(self, uow: UnitOfWork, tenant: Tenant, owner: str) -> AccountSecretView | None:
        known = await uow.webhooks.secrets(tenant, owner)
        if not known:
            return None
        secret = self._secrets.open_signing_secret(known[0].sealed, tenant=tenant, owner=owner)
        return AccountSecretView(secret, known[0].created_at, known[0].number)

    # --- deliveries --------------------------------------------------------------------------------

    async def delivery(
        self, command: GetDelivery, context: Context[DeliveryView], claim: Claim[DeliveryView]
    ) -> DeliveryView:
        """Show a delivery with its attempts.

        Raises:
            NotFound: `webhook_delivery_not_found`.
        """
        tenant = context.principal.tenant

        async def work(uow: UnitOfWork) -> DeliveryView:
            delivery = await uow.webhooks.find_delivery(tenant, command.delivery_id)
            return await _delivery_view(uow, tenant, delivery)

        return await self._storage.read(work)

    async def deliveries(
        self, command: ListDeliveries, context: Context[Any], claim: Claim[Any]
    ) -> Page[DeliveryView]:
        """List deliveries."""
        tenant = context.principal.tenant
        found = await self._storage.read(lambda uow: uow.webhooks.page_deliveries(tenant, command.page))
        return Page([DeliveryView(delivery) for delivery in found.items], found.has_more)

    async def replay(
        self, command: ReplayDelivery, context: Context[DeliveryView], claim: Claim[DeliveryView]
    ) -> DeliveryView:
        """Send a delivery again.

        Raises:
            NotFound: `webhook_delivery_not_found`.
        """
        tenant = context.principal.tenant

        async def work(uow: UnitOfWork) -> DeliveryView:
            await claim.begin(uow)
            view = await _replay(uow, tenant, command.delivery_id)
            await claim.finish(uow, view)
            return view

        return await self._storage.write(work)

    async def resend(
        self, command: ResendEvent, context: Context[Any], claim: Claim[Any]
    ) -> Sequence[DeliveryView]:
        """Tell an event again: deliveries that are there are replayed, missing ones are made.

        Raises:
            NotFound: `event_not_found`, `webhook_endpoint_not_found`.
        """
        tenant = context.principal.tenant

        async def work(uow: UnitOfWork) -> Sequence[DeliveryView]:
            await claim.begin(uow)
            event = await _event(uow, tenant, command.event_id)
            endpoints = await _addressed(uow, tenant, command.endpoint_id)
            views: list[DeliveryView] = []
            for endpoint in endpoints:
                known = await uow.webhooks.delivery_of(tenant, endpoint.id, event.id)
                if known is not None:
                    views.append(await _replay(uow, tenant, known.id))
                    continue
                views += [DeliveryView(made) for made in await self._webhooks.tell(uow, event, endpoint)]
            await claim.finish(uow, views)
            return views

        return await self._storage.write(work)


def _check_overlap(overlap: timedelta) -> None:
    if not timedelta(0) <= overlap <= OVERLAP_MAX:
        raise InvalidRequest(ErrorCode.PARAMETER_INVALID, param="overlap_s")


def _changed(endpoint: WebhookEndpoint, command: UpdateWebhookEndpoint, now: datetime) -> WebhookEndpoint:
    disabled = endpoint.disabled
    if command.is_enabled is not None:
        disabled = None if command.is_enabled else disabled or DisabledReason.MERCHANT
    return replace(
        endpoint,
        url=endpoint.url if command.url is None else command.url,
        event_types=endpoint.event_types if command.event_types is None else tuple(command.event_types),
        disabled=disabled,
        description=endpoint.description if command.description is None else command.description,
        facts=endpoint.facts if command.facts is None else check_facts(command.facts),
        updated_at=now,
    )


async def _living(uow: UnitOfWork, tenant: Tenant, endpoint_id: WebhookEndpointId) -> WebhookEndpoint:
    endpoint = await uow.webhooks.find_endpoint(tenant, endpoint_id)
    if endpoint is None or endpoint.deleted_at is not None:
        raise NotFound(ErrorCode.WEBHOOK_ENDPOINT_NOT_FOUND)
    return endpoint


async def _addressed(
    uow: UnitOfWork, tenant: Tenant, endpoint_id: WebhookEndpointId | None
) -> Sequence[WebhookEndpoint]:
    """Give one endpoint, or every open one."""
    if endpoint_id is not None:
        return [await _living(uow, tenant, endpoint_id)]
    return await uow.webhooks.configured(tenant)


async def _event(uow: UnitOfWork, tenant: Tenant, event_id: EventId) -> Event:
    event = await uow.events.find(tenant, event_id)
    if event is None:
        raise NotFound(ErrorCode.EVENT_NOT_FOUND)
    return event


async def _replay(uow: UnitOfWork, tenant: Tenant, delivery_id: DeliveryId) -> DeliveryView:
    return await _delivery_view(uow, tenant, await uow.webhooks.replay(tenant, delivery_id))


async def _delivery_view(uow: UnitOfWork, tenant: Tenant, delivery: Delivery | None) -> DeliveryView:
    if delivery is None:
        raise NotFound(ErrorCode.WEBHOOK_DELIVERY_NOT_FOUND)
    return DeliveryView(delivery, await uow.webhooks.attempts(tenant, delivery.id))
