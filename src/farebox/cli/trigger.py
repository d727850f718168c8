"""`farebox trigger`: fixtures that replay real requests, so that something really happens."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any, cast

from farebox.cli.api import Api, api_of, server_options
from farebox.cli.common import click, json_option, print_json, print_table

_PLACE = re.compile(r"\{(\w+)\}")


def names() -> list[str]:
    """List the fixtures."""
    folder = files("farebox.data").joinpath("triggers")
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def fixture(name: str) -> Any:
    """Read a fixture."""
    text = files("farebox.data").joinpath("triggers", f"{name}.json").read_text("utf-8")
    return json.loads(text)


def fill(value: Any, kept: dict[str, str]) -> Any:
    """Put what earlier answers gave into a later request."""
    match value:
        case str():
            return _PLACE.sub(lambda place: kept[place[1]], value)
        case dict():
            items = cast("dict[str, Any]", value)
            return {name: fill(item, kept) for name, item in items.items()}
        case _:
            return value


@click.command()
@server_options
@json_option
@click.argument("event", required=False)
@api_of
def command(api: Api, event: str | None, *, as_json: bool) -> None:
    """Make something happen on a running server in test mode, by the requests that bring it about.

    Without EVENT the list of what can be triggered is printed.

    \b
    Example: farebox trigger payment.captured --url http://127.0.0.1:8080
    """
    if event is None:
        about = [(name, fixture(name)["about"]) for name in names()]
        print_json(dict(about)) if as_json else print_table(("event", "what happens"), about)
        return
    if event not in names():
        raise click.ClickException("There is no such trigger; 'farebox trigger' lists them.")
    kept: dict[str, str] = {}
    answers: list[Any] = []
    for step in fixture(event)["steps"]:
        answer = api.ask(step["method"], fill(step["path"], kept), fill(step.get("body"), kept))
        kept |= {name: answer[field] for name, field in step.get("keep", {}).items()}
        answers.append(answer)
    if as_json:
        print_json(answers)
        return
    rows = [(answer["object"], answer["id"], answer.get("status", "")) for answer in answers]
    print_table(("object", "id", "status"), rows)
