"""The buyer's page of a checkout session: two routes that a dialect places where its protocol wants them.

Without scripts the page is one form that is posted to its own address. Scripts post the same form and
ask for JSON; both are answered by the same reader and writer. What the page shows is drawn by the web layer
(template `checkout`); here is only what it is about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from farebox.dialects.dialect import (
    FORM,
    Answer,
    AnyRoute,
    Authentication,
    Call,
    Headers,
    NoBody,
    PageView,
    Refusal,
    Route,
    WireError,
    redirect,
)
from farebox.domain.cards import Card, Expiry, Pan, check_holder_name, parse_cvc, parse_expiry, parse_pan
from farebox.domain.checkout import CheckoutState
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.frozen import frozen
from farebox.domain.sensitive import Sensitive
from farebox.services.commands import (
    AbandonCheckoutSession,
    CheckoutSessionView,
    Command,
    FromInstrument,
    Give,
    PayCheckoutSession,
    Then,
    ViewCheckoutSession,
)

PAGE = "checkout"
"""Name of the template."""
_JSON = b"application/json"
_EXPIRY = re.compile(r"\s*(\d{1,2})\s*[/.\- ]?\s*(\d{2}|\d{4})\s*")
_TICKED = frozenset({"on", "true", "1", "yes"})
Problems = Mapping[str, str]
"""What is wrong with the form: by field, the key of a text."""
_NONE: Problems = {}


class PageQuery(msgspec.Struct, frozen=True):
    """What the page's address may say beside the session; anything else is not looked at."""

    language: str | None = None
    card: str | None = None
    """`new` shows the form for another card than the stored one."""
    ui: str | None = None
    """`inline` and `fullscreen` where a program shows the page in a frame."""
    hide_test_message: str | None = None


class PageForm(msgspec.Struct, frozen=True):
    """The form as it is posted."""

    do: str = "pay"
    """`pay` or `cancel`: which of the two buttons."""
    card: str = "new"
    """`new` or `stored`."""
    number: Sensitive | None = None
    expiry: str = ""
    cvc: Sensitive | None = None
    name: str = ""
    save: str = ""


PageCall = Call[PageForm, PageQuery]


@frozen
class CheckoutPage:
    """Where the page stands, and what its protocol adds to the way back."""

    path: str
    visitor: Authentication
    """Where in a request the session's address stands."""
    return_to: Callable[[CheckoutSessionView], str | None]
    """Gives where the buyer goes: the merchant's address with the protocol's parameters of the outcome."""
    scripts: tuple[str, ...] = ()
    """More modules of ours that the page loads, by name: how a protocol's programs talk to the page."""

    def routes(self) -> tuple[AnyRoute, ...]:
        """Give the routes that show the page and take its form."""
        show: AnyRoute = Route(
            "GET",
            self.path,
            NoBody,
            PageQuery,
            lambda call: ViewCheckoutSession(visits=not _for_script(call)),
            self._write_shown,
            summary="Show the checkout page",
            authentication=self.visitor,
            errors=_ERRORS,
            write_error=_write_error,
            is_page=True,
        )
        take: AnyRoute = Route(
            "POST",
            self.path,
            PageForm,
            PageQuery,
            read_form,
            self._write_taken,
            summary="Pay, or leave the checkout page",
            authentication=self.visitor,
            media_types=frozenset({FORM}),
            errors=_ERRORS,
            write_error=_write_error,
            is_page=True,
        )
        return show, take

    def _write_shown(self, view: CheckoutSessionView, call: Call[NoBody, PageQuery]) -> Answer:
        return Answer(page=self._page(view, call, _NONE, PageForm()))

    def _write_taken(self, view: CheckoutSessionView, call: PageCall) -> Answer:
        """Lead a buyer who is done back to the merchant; show everybody else the page again."""
        is_done = view.session.state in {CheckoutState.COMPLETED, CheckoutState.CANCELLED}
        location = self.return_to(view)
        if is_done and location is not None and not _for_script(call):
            # The browser must not repeat the form at the address it is led to.
            return redirect(location, status=303)
        was_read = view.made_attempt or call.body.do != "pay"
        problems = _NONE if was_read else problems_of(call, view)
        return Answer(page=self._page(view, call, problems, call.body))

    def _page(
        self, view: CheckoutSessionView, call: Call[Any, PageQuery], problems: Problems, form: PageForm
    ) -> PageView:
        wants_new = call.query.card == "new" or (call.body is form and form.card == "new")
        return PageView(
            PAGE,
            {
                "view": view,
                "problems": problems,
                "return_to": self.return_to(view),
                "uses_stored": view.stored is not None and not wants_new,
                "links": {card: _with_card(call, card) for card in ("new", "stored")},
                "name": form.name,
                "ticked": form.save.lower() in _TICKED if call.body is form else None,
                "language": call.query.language,
                "accepts": call.headers.get(b"accept-language", b"").decode("latin-1"),
                "for_script": _for_script(call),
                "hides_test": call.query.hide_test_message == "true",
                "scripts": self.scripts,
            },
        )


_ERRORS: Mapping[ErrorCode, WireError] = {
    ErrorCode.API_KEY_INVALID: WireError(404, "There is no such page"),
    ErrorCode.API_KEY_MISSING: WireError(404, "There is no such page"),
    ErrorCode.CHECKOUT_SESSION_NOT_FOUND: WireError(404, "There is no such page"),
}


def read_form(call: PageCall) -> Command[CheckoutSessionView]:
    """Read what the buyer wants; a form with something wrong in it only shows the session again."""
    if call.body.do == "cancel":
        return AbandonCheckoutSession()

    def decide(view: CheckoutSessionView) -> Command[CheckoutSessionView]:
        if view.session.state is not CheckoutState.OPEN or problems_of(call, view):
            return Give(view)
        saves = call.body.save.lower() in _TICKED
        if _pays_stored(call, view):
            return PayCheckoutSession(cvc=call.body.cvc or None, saves=saves)
        return PayCheckoutSession(instrument=FromInstrument(_card(call.body)), saves=saves)

    return Then(ViewCheckoutSession(), decide)


def problems_of(call: PageCall, view: CheckoutSessionView) -> Problems:
    """Name what is wrong with a form, by field, in the order of the page."""
    form, found = call.body, dict[str, str]()
    if view.session.state is not CheckoutState.OPEN:
        return found
    if _pays_stored(call, view):
        brand = (view.stored.brand if view.stored else None) or "unknown"
        if view.session.terms.asks_cvc:
            _note(found, "cvc", _cvc_problem(form.cvc, brand))
        return found
    pan = _pan(form.number)
    _note(found, "number", None if isinstance(pan, Pan) else pan)
    expiry = _expiry(form.expiry, call.now.date())
    _note(found, "expiry", None if isinstance(expiry, Expiry) else expiry)
    _note(found, "cvc", _cvc_problem(form.cvc, pan.brand if isinstance(pan, Pan) else "unknown"))
    try:
        check_holder_name(form.name or None, param="name")
    except InvalidRequest:
        found["name"] = "name_invalid"
    return found


def _note(found: dict[str, str], field: str, problem: str | None) -> None:
    if problem is not None:
        found[field] = problem


def _pays_stored(call: PageCall, view: CheckoutSessionView) -> bool:
    return call.body.card == "stored" and view.stored is not None


def _card(form: PageForm) -> Card:
    """Read a card out of a form that has no problems."""
    pan = parse_pan(form.number or Sensitive(""))
    month, year = _month_and_year(form.expiry) or (0, 0)
    cvc = parse_cvc(form.cvc or Sensitive(""), brand=pan.brand)
    return Card(pan, parse_expiry(month, year), form.name.strip() or None, cvc)


def _pan(number: Sensitive | None) -> Pan | str:
    """Read a number, or name what is wrong with it."""
    if not number:
        return "number_missing"
    try:
        return parse_pan(number)
    except InvalidRequest:
        return "number_invalid"


def _expiry(text: str, today: date) -> Expiry | str:
    if not text.strip():
        return "expiry_missing"
    read = _month_and_year(text)
    try:
        expiry = parse_expiry(*read) if read else None
    except InvalidRequest:
        expiry = None
    if expiry is None:
        return "expiry_invalid"
    return "expiry_past" if expiry.passed(today) else expiry


def _month_and_year(text: str) -> tuple[int, int] | None:
    match = _EXPIRY.fullmatch(text)
    return (int(match[1]), int(match[2])) if match else None


def _cvc_problem(cvc: Sensitive | None, brand: str) -> str | None:
    if not cvc:
        return "cvc_missing"
    try:
        parse_cvc(cvc, brand=brand)
    except InvalidRequest:
        return "cvc_invalid"
    return None


def _with_card(call: Call[Any, PageQuery], card: str) -> str:
    """Give the page's own address with another form on it, as a relative reference."""
    query = parse_qsl(call.raw_query.decode("latin-1"), keep_blank_values=True)
    return "?" + urlencode([*((name, value) for name, value in query if name != "card"), ("card", card)])


def _for_script(call: Call[Any, Any]) -> bool:
    """Tell whether the page's script asks, which reads JSON."""
    return call.headers.get(b"accept", b"").startswith(_JSON)


def _write_error(refusal: Refusal) -> Answer:
    """Refuse in words for a person, with a way to try again where that makes sense."""
    headers: Headers = refusal.request.headers if refusal.request is not None else {}
    values: dict[str, Any] = {
        "code": refusal.code.value,
        "is_unknown": refusal.wire.status == 404,
        "language": None,
        "accepts": headers.get(b"accept-language", b"").decode("latin-1"),
        "for_script": headers.get(b"accept", b"").startswith(_JSON),
    }
    return Answer(status=refusal.wire.status, page=PageView("checkout_problem", values))
