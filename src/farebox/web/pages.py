"""The pages an operator reads: health, metrics, the API's description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from ipaddress import ip_address
from typing import Any, Literal

from jinja2 import Environment, PackageLoader, select_autoescape

from farebox.dialects.codec import encode
from farebox.dialects.dialect import PageView, WireResponse
from farebox.domain.frozen import frozen
from farebox.web.app import Page
from farebox.web.assets import ASSETS, PREFIX, Asset, asset
from farebox.web.checkout import Drawn, draw_checkout, draw_outcome, draw_problem
from farebox.web.health import Readiness
from farebox.web.wire import Scope

_JSON = b"application/json"
_HTML = b"text/html; charset=utf-8"
_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    b"frame-ancestors 'none'"
)


@frozen
class ErrorText:
    """One row of the table of errors."""

    code: str
    status: int
    message: str


Metrics = Callable[[], tuple[bytes, bytes]]
"""Gives content type and body."""


def pages(
    *,
    readiness: Readiness,
    metrics: Metrics,
    metrics_for: Literal["loopback", "everyone", "off"],
    description: Mapping[str, Any],
    errors: Sequence[ErrorText],
) -> dict[str, Page]:
    """Pair every page with its path.

    Args:
        readiness: what `/readyz` reports.
        metrics: renders `/metrics`.
        metrics_for: who may read them.
        description: the native API's OpenAPI document.
        errors: what it refuses with, for the page's table.
    """
    document = encode(description)
    browsable = _render(description, errors)
    style = files("farebox.web").joinpath("static/docs.css").read_bytes()

    async def livez(scope: Scope) -> WireResponse:
        return _page("/livez", 200, _JSON, b'{"status":"alive"}')

    async def readyz(scope: Scope) -> WireResponse:
        status, body = await readiness.report(verbose=scope["query_string"] in {b"verbose", b"verbose=true"})
        return _page("/readyz", status, _JSON, body)

    async def show_metrics(scope: Scope) -> WireResponse:
        if metrics_for == "off" or (metrics_for == "loopback" and not _is_loopback(scope)):
            return _page("/metrics", 404, _JSON, b"{}")
        content_type, body = metrics()
        return _page("/metrics", 200, content_type, body)

    async def openapi_json(scope: Scope) -> WireResponse:
        return _page("/openapi.json", 200, _JSON, document)

    async def docs(scope: Scope) -> WireResponse:
        response = _page("/docs", 200, _HTML, browsable)
        response.headers.append((b"content-security-policy", _POLICY))
        response.headers.append((b"referrer-policy", b"no-referrer"))
        return response

    async def docs_style(scope: Scope) -> WireResponse:
        return _page("/docs/style.css", 200, b"text/css; charset=utf-8", style)

    def served(one: Asset) -> Page:
        async def show(scope: Scope) -> WireResponse:
            headers = [
                (b"content-type", one.content_type),
                (b"cache-control", b"public, max-age=31536000, immutable"),
                (b"x-content-type-options", b"nosniff"),
                # Integrity is checked of what may be read from any origin, a sandboxed frame's too.
                (b"access-control-allow-origin", b"*"),
                (b"cross-origin-resource-policy", b"cross-origin"),
            ]
            return WireResponse(200, headers, one.content, PREFIX, "")

        return show

    return {
        **{one.path: served(one) for one in map(asset, ASSETS)},
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": show_metrics,
        "/openapi.json": openapi_json,
        "/docs": docs,
        "/docs/style.css": docs_style,
    }


def _page(route: str, status: int, content_type: bytes, body: bytes) -> WireResponse:
    headers = [
        (b"content-type", content_type),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    return WireResponse(status, headers, body, route, "")


def _is_loopback(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and ip_address(client[0]).is_loopback


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("farebox.web"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["schema_name"] = _schema_name
    environment.filters["type_name"] = _type_name
    return environment


def _render(description: Mapping[str, Any], errors: Sequence[ErrorText]) -> bytes:
    return _environment().get_template("docs.html").render(api=description, errors=errors).encode()


def render_page(page: PageView) -> tuple[Sequence[tuple[bytes, bytes]], bytes]:
    """Draw a page that a dialect answers with: no script, and forms that go anywhere (a challenge's result).

    Frames of any origin may hold it, as payment pages must allow.
    """
    own = _OWN.get(page.template)
    if own is not None:
        return own(_environment(), page.values)
    policy = b"default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action *"
    headers = (
        (b"content-type", _HTML),
        (b"content-security-policy", policy),
        (b"referrer-policy", b"no-referrer"),
    )
    return headers, _environment().get_template(f"{page.template}.html").render(page.values).encode()


_OWN: Mapping[str, Callable[[Environment, Mapping[str, Any]], Drawn]] = {
    "checkout": draw_checkout,
    "checkout_problem": draw_problem,
    "checkout_outcome": draw_outcome,
}
"""Pages with more to them than a template."""


def _schema_name(schema: Mapping[str, Any]) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _type_name(schema: Mapping[str, Any]) -> str:
    """Say a JSON Schema in a few words."""
    if "$ref" in schema:
        return _schema_name(schema)
    if "anyOf" in schema:
        return " or ".join(_type_name(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f'"{one}"' for one in schema["enum"])
    if "const" in schema:
        return f'"{schema["const"]}"'
    if schema.get("type") == "array":
        return f"list of {_type_name(schema['items'])}"
    return str(schema.get("format") or schema.get("type", "any"))
