"""Endpoints that come with a thing: a URL beside a payment or a session that is told of that alone."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from farebox.domain.access import Mode, Tenant
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.facts import check_facts
from farebox.domain.ids import WebhookEndpointId
from farebox.domain.webhooks import CallbackUrl, WebhookEndpoint
from farebox.ports.storage import UnitOfWork

URL_LENGTH_MAX = 2_000


def check_url(url: str, mode: Mode) -> None:
    """Refuse what no callback can be sent to; addresses are judged when it is called.

    Live mode takes https only: a signature proves who speaks, and hides nothing.

    Raises:
        InvalidRequest: `url_refused`.
    """
    schemes = {"https"} if mode is Mode.LIVE else {"https", "http"}
    try:
        parts = urlsplit(url)
        is_callable = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_callable = False
        parts = urlsplit("")
    # A host in another script is written in its ASCII form, so that nobody reads it in two ways.
    is_plain = url.isascii() and all(" " < character < "\x7f" for character in url)
    if not is_callable or not is_plain or parts.username is not None or len(url) > URL_LENGTH_MAX:
        raise InvalidRequest(ErrorCode.URL_REFUSED, param="url")


async def listen(
    uow: UnitOfWork,
    callback: CallbackUrl,
    *,
    tenant: Tenant,
    dialect: str,
    object_id: str,
    endpoint_id: WebhookEndpointId,
    now: datetime,
) -> None:
    """Have a URL told of one object, in the transaction that makes the object.

    Raises:
        InvalidRequest: `url_refused`; `metadata_invalid` when its parameters hold a card number.
    """
    check_url(callback.url, tenant.mode)
    await uow.webhooks.insert_endpoint(
        WebhookEndpoint(
            id=endpoint_id,
            tenant=tenant,
            dialect=dialect,
            kind=callback.kind,
            url=callback.url,
            created_at=now,
            updated_at=now,
            is_one_off=True,
            facts=check_facts(callback.facts),
        )
    )
    await uow.webhooks.watch(tenant, object_id, endpoint_id)


async def follow(uow: UnitOfWork, tenant: Tenant, *, object_id: str, next_id: str) -> None:
    """Let whoever is told of one object hear of what came of it too: of a session's payment."""
    for endpoint in await uow.webhooks.watching(tenant, object_id):
        await uow.webhooks.watch(tenant, next_id, endpoint.id)
