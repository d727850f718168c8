"""Write the documents that are made from the code: `python -m tools.docs`, or `--check` to only compare.

A page is either generated whole or has generated parts between `<!-- generated: name -->` and
`<!-- end -->`; what stands around them is written by hand and stays.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from farebox import __version__
from farebox.adapters.processors.sandbox.outcomes import Row, table
from farebox.adapters.processors.sandbox.trouble import TROUBLES
from farebox.cli.main import main as farebox
from farebox.config.settings import SECRETS, Settings
from farebox.dialects.dialect import AnyRoute, NoBody
from farebox.dialects.native.declaration import NATIVE
from farebox.dialects.native.errors import ERRORS
from farebox.domain.errors import MESSAGES, ErrorCode
from farebox.web.openapi import openapi

ROOT = Path(__file__).parents[1]
CONTEXT: Mapping[str, Any] = {"terminal_width": 100, "help_option_names": ["-h", "--help"]}
NOTICE = "<!-- Written by `make docs`; change the code it is made from. -->\n"

# What a caller does about a refusal follows from its status.
GROUPS: tuple[tuple[frozenset[int], str, str], ...] = (
    (
        frozenset({400, 405, 406, 414, 415, 413, 422}),
        "Fix the request",
        "The same request is refused again. `param` names the field, `detail` what is expected.",
    ),
    (frozenset({401, 403}), "Use other credentials", "Nothing was done."),
    (
        frozenset({404}),
        "There is no such thing",
        "Or it belongs to another merchant or mode, which looks the same.",
    ),
    (
        frozenset({409}),
        "Reconcile with what already happened",
        "Ask for the object's state before doing anything else; a new idempotency key does not help.",
    ),
    (frozenset({429}), "Slow down", "`Retry-After` says for how many seconds."),
    (
        frozenset({500, 503}),
        "Ask again with the same idempotency key",
        "With the same key a repetition never does a thing twice; without a key, look first.",
    ),
)


ERRORS_INTRODUCTION = """\
Refusals of the native API are problem details (RFC 9457). `code` is stable: programs branch on it, and
removing one is a breaking change. `detail` is for people. Neither ever holds what was sent. A decline is
no error: it is a payment whose `status` is `declined`."""
SETTINGS_INTRODUCTION = """\
From a TOML file (`--config`, `FAREBOX_CONFIG`, or `farebox.toml` in the data directory), then the
environment, then the command line; the later one wins. `[limits] headers = 32` in the file is
`FAREBOX_LIMITS__HEADERS=32` in the environment. A variable with `_FILE` at its end names a file that
holds the value. A setting nobody knows stops the start."""

TEST_VALUES_INTRODUCTION = """\
What the sandbox acquirer of test mode makes of which card, account, amount, security code and address. The
dialect of the request chooses the table; what no row names is approved, and a bank debit is pending until
the batch is closed. Any expiry in the future fits."""


# --- pages -----------------------------------------------------------------------------------------


def errors_page() -> str:
    """List every code under an anchor of its own."""
    lines = [
        "# Errors",
        "",
        NOTICE,
        ERRORS_INTRODUCTION,
    ]
    left = list(ErrorCode)
    for statuses, title, advice in GROUPS:
        lines += ["", f"## {title}", "", advice]
        for code in [code for code in left if ERRORS[code].status in statuses]:
            left.remove(code)
            lines += ["", f"### {code.value}", "", f"{ERRORS[code].status}: {MESSAGES[code]}"]
    assert not left, "every status belongs to a group"
    return "\n".join(lines) + "\n"


def settings_page() -> str:
    """List every setting with its variable, type and default."""
    lines = [
        "# Settings",
        "",
        NOTICE,
        SETTINGS_INTRODUCTION,
        "",
        "| setting | variable | type | default | |",
        "|---|---|---|---|---|",
    ]
    for path, type_, default, about in _settings(Settings, ""):
        variable = "FAREBOX_" + path.upper().replace(".", "__")
        secret = " Shown as `(set)` only." if path in SECRETS else ""
        lines.append(f"| `{path}` | `{variable}` | {type_} | {default} | {about}{secret} |")
    return "\n".join(lines) + "\n"


def _settings(struct: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, str, str, str]]:
    defaults = msgspec.convert({"data_dir": "."}, struct) if struct is Settings else struct()
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    schema = msgspec.json.schema_components([struct])[1][struct.__name__]["properties"]
    for field in info.fields:
        inner = field.type
        if isinstance(inner, msgspec.inspect.StructType):
            yield from _settings(inner.cls, f"{prefix}{field.name}.")
            continue
        value = "required" if field.required else _value(getattr(defaults, field.name))
        shape = schema[field.name]
        yield prefix + field.name, _shape(shape), value, shape.get("description", "")


def _value(value: Any) -> str:
    if value is None or value == {}:
        return "none"
    return f"`{json.dumps(value)}`"


def _shape(shape: Mapping[str, Any]) -> str:
    """Say a JSON Schema in a few words, so that a table cell holds it."""
    if "enum" in shape:
        return ", ".join(f"`{json.dumps(one)}`" for one in shape["enum"])
    if "anyOf" in shape:
        return " or ".join(_shape(one) for one in shape["anyOf"] if one != {"type": "null"})
    words = {"string": "text", "object": "table", "integer": "whole number", "boolean": "true or false"}
    bounds = [
        f"{sign} {shape[name]}"
        for name, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"))
        if name in shape
    ]
    type_ = str(shape["type"])
    return f"{words.get(type_, type_)} {', '.join(bounds)}".strip()


def cli_page() -> str:
    """Give the help of every command."""
    lines = [
        "# Command line",
        "",
        NOTICE,
        "Exit codes: 0 done, 1 refused (the reason is printed), 2 wrong usage.",
    ]
    for path, command in _commands(farebox, ()):
        with click.Context(command, info_name=" ".join(["farebox", *path]), **CONTEXT) as context:
            text = command.get_help(context)
        lines += ["", f"## {' '.join(['farebox', *path])}", "", "```text", text.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def _commands(
    command: click.Command, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*path, name))


def openapi_document() -> str:
    """Give the OpenAPI document as the server serves it, indented."""
    return json.dumps(openapi(NATIVE, version=__version__), indent=2, ensure_ascii=False) + "\n"


# --- parts -----------------------------------------------------------------------------------------


def endpoints() -> str:
    """Tabulate the routes of the native API."""
    lines = ["| request | | body | answer | key |", "|---|---|---|---|---|"]
    for route in NATIVE.api:
        body = "" if route.body is NoBody else f"`{route.body.__name__}`"
        key = "yes" if route.is_idempotent else ""
        request, answer = f"`{route.method} {route.path}`", f"{route.status} {_answer(route)}"
        lines.append(f"| {request} | {route.summary} | {body} | {answer} | {key} |")
    return "\n".join(lines)


def _answer(route: AnyRoute) -> str:
    operation = openapi(NATIVE, version="")["paths"][route.path][route.method.lower()]
    content = operation["responses"][str(route.status)].get("content")
    if content is None:
        return ""
    return f"`{content['application/json']['schema']['$ref'].rpartition('/')[2]}`"


def sandbox_values() -> str:
    """Tabulate what the sandbox makes of the native API's test values."""
    return _values("native")


def _values(gateway: str) -> str:
    lines = ["| send | the sandbox acquirer |", "|---|---|"]
    lines += [f"| {_condition(row)} | {_effect(row)} |" for row in table(gateway).rows]
    return "\n".join(lines)


def test_values_page() -> str:
    """Tabulate every gateway's test values."""
    lines = ["# Test values", "", NOTICE, TEST_VALUES_INTRODUCTION]
    for gateway in ("native", "bamboo", "paysafe", "payroc", "dintero"):
        values = table(gateway)
        lines += ["", f"## {values.title}", "", f"{values.source}", "", _values(gateway)]
    return "\n".join(lines) + "\n"


def _condition(row: Row) -> str:
    names = {
        "card": "card number",
        "account": "account number",
        "card_ending": "card number ending in",
        "amount_minor": "`amount_minor`",
        "amount_to": "to",
        "cvc_value": "`cvc`",
        "line1": "`line1`",
        "line1_prefix": "`line1` beginning with",
        "postal_code": "`postal_code`",
        "currency": "in",
        "attribute": "attribute",
    }
    if row.card_prefixes:
        names["card_ending"] = f"card number beginning with {' or '.join(row.card_prefixes)} and ending in"
    return ", ".join(
        f"{said} `{value}`" for name, said in names.items() if (value := getattr(row, name)) is not None
    )


def _effect(row: Row) -> str:
    said = [
        row.outcome
        or ("approved" if (row.card or row.card_ending) and row.avs is None and row.cvc is None else "")
    ]
    said.append(f"`{row.reason.value}`" if row.reason else "")
    said.append(f"code `{row.code}`" if row.code else "")
    said.append("declined when the batch closes" if row.settles == "declined" else "")
    said.append(f"avs `{row.avs.value}`" if row.avs else "")
    said.append(f"cvc `{row.cvc.value}`" if row.cvc else "")
    said.append({"never": "no answer", "garbled": "an unreadable answer"}.get(row.trouble or "", ""))
    said += [f"a {kind.value} of it is never answered" for kind in row.later]
    said += [f"a {kind.value} of it is declined, `{one.code}`" for kind, one in row.later_declines.items()]
    said.append(row.note or "")
    return ", ".join(part for part in said if part)


def troubles() -> str:
    """Tabulate the trouble that can be scripted."""
    lines = ["| `trouble` | what the acquirer does |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{name}` | {about} |" for name, about in TROUBLES.items())])


WHOLE: Mapping[str, Callable[[], str]] = {
    "docs/reference/errors.md": errors_page,
    "docs/reference/settings.md": settings_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/test-values.md": test_values_page,
    "openapi/native.json": openapi_document,
}
PARTS: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "docs/dialects/native.md": {"endpoints": endpoints, "test values": sandbox_values, "troubles": troubles},
}


def documents(root: Path = ROOT) -> dict[str, str]:
    """Give every generated document as it should be.

    Args:
        root: where the pages with handwritten parts are read from.
    """
    found = {path: make() for path, make in WHOLE.items()}
    for path, parts in PARTS.items():
        text = (root / path).read_text(encoding="utf-8")
        for name, make in parts.items():
            text = _with_part(text, name, make(), path)
        found[path] = text
    return found


def _with_part(text: str, name: str, part: str, path: str) -> str:
    pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    assert len(pattern.findall(text)) == 1, f"{path} has one place for {name}"
    return pattern.sub(lambda match: match[1] + part + "\n" + match[2], text)


def stale(root: Path = ROOT) -> list[str]:
    """Name the documents that are not as the code would write them."""
    return [
        path
        for path, text in documents(root).items()
        if not (root / path).exists() or (root / path).read_text(encoding="utf-8") != text
    ]


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 if a document is stale.")
def main(*, check: bool) -> None:
    """Write every generated document again."""
    names = stale()
    for name in names:
        click.echo(f"{'stale' if check else 'written'}: {name}", err=True)
        if not check:
            (ROOT / name).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / name).write_text(documents()[name], encoding="utf-8")
    sys.exit(1 if check and names else 0)


if __name__ == "__main__":
    main()
