"""Draws the buyer's page of a checkout session: as HTML, and as JSON for the page's own script."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment

from farebox.data import read_text
from farebox.dialects.codec import encode
from farebox.domain.access import Mode
from farebox.domain.checkout import CheckoutState, SaveChoice
from farebox.domain.errors import ErrorCode
from farebox.domain.operations import OperationKind, OperationState
from farebox.services.commands import CheckoutSessionView
from farebox.web.assets import asset
from farebox.web.locales import Texts, texts_for

_HTML = b"text/html; charset=utf-8"
_JSON = b"application/json"
_SCHEMES = frozenset({"http", "https"})
Drawn = tuple[Sequence[tuple[bytes, bytes]], bytes]

_ENDS: Mapping[CheckoutState, tuple[str, str]] = {
    CheckoutState.PAYING: ("paying_title", "paying_text"),
    CheckoutState.LOCKED: ("locked_title", "locked_text"),
    CheckoutState.COMPLETED: ("paid_title", "paid_text"),
    CheckoutState.FAILED: ("failed_title", "failed_text"),
    CheckoutState.CANCELLED: ("cancelled_title", "cancelled_text"),
    CheckoutState.EXPIRED: ("expired_title", "expired_text"),
}
"""What the page says of a session that cannot be paid now."""
_UNSURE = frozenset({ErrorCode.COMMIT_UNKNOWN, ErrorCode.INTERNAL_ERROR})
"""Refusals after which a payment may have been sent: nobody is told that it was not."""


def draw_checkout(environment: Environment, values: Mapping[str, Any]) -> Drawn:
    """Draw the page, whatever state its session is in."""
    view: CheckoutSessionView = values["view"]
    terms = view.session.terms
    texts = texts_for(values["language"], terms.locale, accepts=values["accepts"])
    if values["for_script"]:
        return _headers(_JSON), encode(_for_script(view, values, texts))
    template = environment.get_template("checkout.html")
    targets = [terms.return_url, terms.cancel_url]
    page = template.render(
        t=texts,
        view=view,
        session=view.session,
        terms=terms,
        amount=texts.money(terms.amount_minor, terms.currency),
        ending=_ending(view, texts),
        message=_message(view, texts) if not values["problems"] else None,
        problems={field: texts(key) for field, key in values["problems"].items()},
        takes_nothing=view.session.kind is OperationKind.VERIFICATION,
        is_test=view.session.tenant.mode is Mode.TEST and not values["hides_test"],
        offers_save=terms.save is not None and terms.save.choice is not SaveChoice.ALWAYS,
        is_ticked=_is_ticked(view, ticked=values["ticked"]),
        brands=_brands(),
        brand_names={one["id"]: one["name"] for one in _table()},
        assets={
            "style": asset("checkout.css"),
            "scripts": [asset("checkout.js"), *map(asset, values["scripts"])],
        },
        **{name: values[name] for name in ("uses_stored", "name", "return_to", "links")},
    )
    return _headers(_HTML, form_targets=targets), page.encode()


def draw_problem(environment: Environment, values: Mapping[str, Any]) -> Drawn:
    """Draw a refusal: there is no such page, or nothing could be sent just now."""
    texts = texts_for(values["language"], accepts=values["accepts"])
    kind = "unknown" if values["is_unknown"] else "paying" if values["code"] in _UNSURE else "problem"
    title, text = texts(f"{kind}_title"), texts(f"{kind}_text")
    if values["for_script"]:
        message = f"{title}. {text}"
        return _headers(_JSON), encode({"state": kind, "location": None, "message": message, "problems": {}})
    template = environment.get_template("checkout_problem.html")
    page = template.render(
        t=texts,
        title=title,
        text=text,
        kind=kind,
        code=values["code"],
        assets={"style": asset("checkout.css")},
    )
    return _headers(_HTML), page.encode()


def draw_outcome(environment: Environment, values: Mapping[str, Any]) -> Drawn:
    """Draw what became of a session for somebody who is led on from elsewhere."""
    texts = texts_for(values["language"], accepts=values["accepts"])
    page = environment.get_template("checkout_problem.html").render(
        t=texts,
        title=texts(f"{values['outcome']}_title"),
        text="",
        kind=values["outcome"],
        assets={"style": asset("checkout.css")},
    )
    return _headers(_HTML), page.encode()


def _for_script(view: CheckoutSessionView, values: Mapping[str, Any], texts: Texts) -> Mapping[str, Any]:
    session = view.session
    return {
        "state": session.state.value,
        "location": values["return_to"],
        "problems": {field: texts(key) for field, key in values["problems"].items()},
        "message": None if values["problems"] else _message(view, texts),
        "payment": session.payment_id,
        "reference": session.reference,
    }


def _message(view: CheckoutSessionView, texts: Texts) -> str | None:
    """Say what came of the attempt just made, while the session can still be paid."""
    if view.session.state is not CheckoutState.OPEN or not view.made_attempt or view.payment is None:
        return None
    is_declined = view.payment.payment.state is OperationState.DECLINED
    return texts("declined" if is_declined else "problem_text")


def _ending(view: CheckoutSessionView, texts: Texts) -> Mapping[str, str] | None:
    """Say what became of a session that cannot be paid now."""
    session, terms = view.session, view.session.terms
    if session.state not in _ENDS:
        return None
    title, text = _ENDS[session.state]
    if session.state is CheckoutState.COMPLETED and session.kind is OperationKind.VERIFICATION:
        return {"title": texts("stored_title"), "text": "", "state": session.state.value}
    amount = texts.money(terms.amount_minor, terms.currency)
    shown = texts(text, merchant=view.merchant_name, amount=amount)
    return {"title": texts(title), "text": shown, "state": session.state.value}


def _is_ticked(view: CheckoutSessionView, *, ticked: bool | None) -> bool:
    save = view.session.terms.save
    starts_ticked = save is not None and save.choice is SaveChoice.OPT_OUT
    return starts_ticked if ticked is None else ticked


def _headers(content_type: bytes, form_targets: Sequence[str | None] = ()) -> list[tuple[bytes, bytes]]:
    """Give the headers of a page that takes card data (SEC-10): nothing runs there but our own scripts.

    Any page may show it in a frame. After the form is posted the browser is led to the merchant, which
    Chromium counts as a target of the form.
    """
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        f"base-uri 'none'; form-action 'self'{_origins(form_targets)}; frame-ancestors *; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return [
        (b"content-type", content_type),
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
        (b"vary", b"accept, accept-language"),
    ]


def _origins(urls: Sequence[str | None]) -> str:
    """Write the origins of addresses as policy sources; of an app's address its scheme."""
    found: dict[str, None] = {}
    for url in urls:
        if url is not None:
            parts = urlsplit(url)
            found[f"{parts.scheme}://{parts.netloc}" if parts.scheme in _SCHEMES else f"{parts.scheme}:"] = (
                None
            )
    # A semicolon or comma would end the directive; no host name has one.
    return "".join(f" {one}" for one in found if ";" not in one and "," not in one and one.isascii())


@cache
def _table() -> list[dict[str, Any]]:
    return tomllib.loads(read_text("card_brands.toml"))["brands"]


@cache
def _brands() -> str:
    """Write what the page's script needs to know of brands: whose digits, their grouping, their codes."""
    wanted = ("id", "name", "ranges", "lengths", "gaps", "cvc_lengths")
    return encode([{name: brand[name] for name in wanted} for brand in _table()]).decode()
