"""`farebox events`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from farebox.cli.api import Api, api_of, server_options
from farebox.cli.common import click, json_option, print_json, print_table


@click.group()
def command() -> None:
    """List what happened on a running server, and have it told again."""


@command.command("list")
@server_options
@json_option
@click.option("--type", "type_", help="Only this type, like operation.approved.")
@click.option("--subject", help="Only what happened to this object.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True, help="How many.")
@api_of
def list_(api: Api, type_: str | None, subject: str | None, limit: int, *, as_json: bool) -> None:
    """List events, newest first.

    \b
    Example: farebox events list --url http://127.0.0.1:8080 --type operation.approved
    """
    given = {"limit": limit, "type": type_, "subject": subject}
    query = urlencode({name: value for name, value in given.items() if value is not None})
    page: Any = api.ask("GET", f"/v1/events?{query}")
    if as_json:
        print_json(page)
        return
    rows = [(event["id"], event["type"], event["subject"], event["created_at"]) for event in page["data"]]
    print_table(("event", "type", "subject", "at"), rows)


@command.command()
@server_options
@json_option
@click.argument("event")
@click.option("--endpoint", help="Only to this endpoint; otherwise to every one that wants it.")
@api_of
def resend(api: Api, event: str, endpoint: str | None, *, as_json: bool) -> None:
    """Tell an event again, under the same id, to the merchant's webhook endpoints.

    \b
    Example: farebox events resend evt_01k… --url http://127.0.0.1:8080
    """
    answer: Any = api.ask("POST", f"/v1/events/{quote(event, safe='')}/resend", {"endpoint": endpoint})
    if as_json:
        print_json(answer)
        return
    rows = [(made["id"], made["endpoint"], made["status"], made["url"]) for made in answer["data"]]
    print_table(("delivery", "endpoint", "status", "url"), rows)
