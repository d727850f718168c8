"""`farebox listen`: the loop of somebody who writes a receiver."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from http.client import HTTPException
from time import sleep
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from farebox.cli.api import Api, api_of, server_options
from farebox.cli.common import click, json_option, print_json

SECRET_VARIABLE = "FAREBOX_LISTEN_SECRET"
_POLL_S = 0.5
_KEPT_IDS = 10_000


@click.command()
@server_options
@json_option
@click.option("--forward-to", help="Post each event to this URL, signed as a webhook is.")
@click.option("--print-secret", is_flag=True, help="Print the secret of this run, for the receiver.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many events.")
@api_of
def command(
    api: Api,
    forward_to: str | None,
    count: int | None,
    *,
    print_secret: bool,
    as_json: bool,
) -> None:
    """Print what happens on a running server from now on, and forward it to a receiver under development.

    The receiver gets the bytes that a webhook endpoint would get, signed with a secret of this run (or
    that of FAREBOX_LISTEN_SECRET); what it answers is printed. Nothing is sent twice.

    \b
    Example: farebox listen --forward-to http://127.0.0.1:3000/hook --print-secret
    """
    secret = os.environ.get(SECRET_VARIABLE) or _new_secret()
    if forward_to is not None and not forward_to.startswith(("http://", "https://")):
        raise click.ClickException("--forward-to wants an address that begins with http:// or https://.")
    if print_secret:
        click.echo(secret, err=True)
    for number, event in enumerate(_events(api), start=1):
        answer = None if forward_to is None else _forward(forward_to, event, secret)
        if as_json:
            print_json({"event": event, "answer": answer})
        else:
            shown = "" if answer is None else f"  → {answer}"
            click.echo(f"{event['created_at']}  {event['type']:28}  {event['subject']}{shown}")
        if number == count:
            return


def _new_secret() -> str:
    from farebox.adapters.system import SystemRandomness
    from farebox.services.callbacks import random_secret

    return random_secret(SystemRandomness().bytes(32))


def _events(api: Api) -> Iterator[Any]:
    """Give events as they come, whose ids are not quite in the order of their commits."""
    seen = deque[str](maxlen=_KEPT_IDS)
    seen.extend(event["id"] for event in api.ask("GET", "/v1/events?limit=100")["data"])
    click.echo("Listening.", err=True)
    while True:
        fresh = _fresh(api, frozenset(seen))
        for event in reversed(fresh):
            seen.append(event["id"])
            yield event
        if not fresh:
            sleep(_POLL_S)


def _fresh(api: Api, seen: frozenset[str]) -> list[Any]:
    """Give what is not seen yet, newest first: page after page until one holds something seen."""
    fresh: list[Any] = []
    after = ""
    while True:
        page = api.ask("GET", f"/v1/events?limit=100&expand=snapshot{after}")
        fresh += [event for event in page["data"] if event["id"] not in seen]
        if not page["has_more"] or not seen or any(event["id"] in seen for event in page["data"]):
            return fresh
        after = f"&starting_after={page['data'][-1]['id']}"


def _forward(url: str, event: Any, secret: str) -> int | str:
    """Post an event; give the status, or that there was none."""
    from farebox.adapters.system import SystemClock
    from farebox.dialects.native.callbacks import signature

    body = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    headers = dict(signature(event["id"], SystemClock().now(), body, (secret,)))
    request = Request(  # noqa: S310  # the scheme is checked by the command
        url, method="POST", data=body, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urlopen(request, timeout=15) as answer:  # noqa: S310  # as above
            return answer.status
    except HTTPError as refusal:
        return refusal.code
    except (URLError, OSError, HTTPException):
        return "no answer"
