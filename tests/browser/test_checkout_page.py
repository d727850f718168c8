"""The checkout page as buyers meet it: every state, with and without scripts, on a phone, in a frame."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.browser.conftest import SHOP, Shop, fill_card

from farebox.data import read_text
from farebox.domain.checkout import ATTEMPTS_MAX
from farebox.web.locales import LANGUAGES

NewPage = Callable[..., Page]
Inspect = Callable[[Page, str], None]
PAY = re.compile("^Pay ")
BACK = re.compile(re.escape(SHOP) + r"\?checkout_session=cs_[0-9a-z]{26}&status=(\w+)$")


def texts(language: str) -> dict[str, str]:
    return json.loads(read_text(f"locales/{language}.json"))


def test_a_new_card_pays(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """Number, expiry and code are typed and grouped; the payment leads back to the shop."""
    session = shop.session(save="payment_token")
    page = new_page()
    page.goto(session["url"])
    inspect(page, "new-card")
    fill_card(page)
    assert page.locator("#number").input_value() == "4242 4242 4242 4242"
    assert page.locator("#expiry").input_value() == "12 / 34"
    expect(page.locator("#brand")).to_have_text("Visa")
    page.get_by_label("Save this card").check()
    page.get_by_label("Name on card").fill("Ada Lovelace")
    inspect(page, "new-card-filled")
    page.get_by_role("button", name=PAY).click()
    page.wait_for_url(BACK)
    assert page.url.endswith("status=completed")
    paid = shop.get(session)
    assert paid["status"] == "completed"
    assert paid["payment_token"].startswith("pt_")
    page.goto(session["url"])
    expect(page.get_by_role("heading", name="Payment complete")).to_be_visible()
    inspect(page, "completed")


def test_errors_stand_under_their_fields(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """What is wrong is named where it is, tied to its field, and the first one has the focus."""
    page = new_page()
    page.goto(shop.session()["url"])
    page.get_by_role("button", name=PAY).click()
    for field in ("number", "expiry", "cvc"):
        expect(page.locator(f"#{field}")).to_have_attribute("aria-invalid", "true")
        described = page.locator(f"#{field}").get_attribute("aria-describedby") or ""
        assert f"{field}-error" in described
        expect(page.locator(f"#{field}-error")).not_to_be_empty()
    expect(page.locator("#number")).to_be_focused()
    inspect(page, "errors")
    fill_card(page, number="4242424242424241", expiry="1220", cvc="12")
    page.get_by_role("button", name=PAY).click()
    expect(page.locator("#number-error")).to_contain_text("not valid")
    expect(page.locator("#expiry-error")).to_contain_text("expired")
    expect(page.locator("#cvc-error")).to_contain_text("not complete")


def test_a_declined_card_may_be_followed_by_another(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """The page says that nothing was taken and stays; the next card pays."""
    session = shop.session()
    page = new_page()
    page.goto(session["url"])
    fill_card(page, number="4000000000000002")
    page.get_by_role("button", name=PAY).click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    expect(page.get_by_role("alert")).to_be_focused()
    inspect(page, "declined")
    page.locator("#number").fill("")
    page.locator("#expiry").fill("")
    fill_card(page)
    page.get_by_role("button", name=PAY).click()
    page.wait_for_url(BACK)
    assert shop.get(session)["attempts"] == 2


def test_a_stored_card_asks_for_its_code_only(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """Brand, last digits and expiry are shown; another card may be used instead."""
    stored = shop.ask(
        "POST",
        "/v1/single_use_tokens",
        {"card": {"number": "4242424242424242", "exp_month": 12, "exp_year": 2034}},
    )
    token = shop.ask("POST", "/v1/payment_tokens", {"single_use_token": stored["token"]})["token"]
    session = shop.session(payment_token=token)
    page = new_page()
    page.goto(session["url"])
    expect(page.get_by_text("Visa ending in 4242")).to_be_visible()
    assert page.locator("#number").count() == 0
    inspect(page, "stored-card")
    page.get_by_role("link", name="Use another card").click()
    expect(page.locator("#number")).to_be_visible()
    page.get_by_role("link", name="Use the saved card").click()
    page.get_by_role("button", name=re.compile("^Confirm and pay ")).click()
    expect(page.locator("#cvc-error")).to_contain_text("Enter the security code")
    page.locator("#cvc").press_sequentially("123")
    page.keyboard.press("Enter")
    page.wait_for_url(BACK)
    assert shop.get(session)["status"] == "completed"


def test_cancelling_leads_back(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """The buyer leaves by a button that says so."""
    session = shop.session()
    page = new_page()
    page.goto(session["url"])
    page.get_by_role("button", name=re.compile("^Cancel")).click()
    page.wait_for_url(BACK)
    assert page.url.endswith("status=cancelled")
    page.goto(session["url"])
    inspect(page, "cancelled")
    assert shop.get(session)["status"] == "cancelled"


def test_waiting_is_shown_and_ends_by_itself(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """While an attempt is under way another tab waits, and both end at the shop."""
    session = shop.session()
    shop.fault(trouble="late", operation="purchase", delay_s=2)
    page, other = new_page(), new_page()
    page.goto(session["url"])
    fill_card(page)
    page.get_by_role("button", name=PAY).click()
    expect(page.locator("#form")).to_have_attribute("aria-busy", "true")
    page.screenshot()
    inspect(page, "sending")
    other.goto(session["url"])
    expect(other.get_by_role("heading", name="Processing your payment")).to_be_visible()
    inspect(other, "waiting")
    page.wait_for_url(BACK)
    other.wait_for_url(BACK)


def test_two_clicks_pay_once(shop: Shop, new_page: NewPage) -> None:
    """Clicks in a row, and forms of two tabs at once, make one payment."""
    session = shop.session(reference="clicked twice")
    shop.fault(trouble="late", operation="purchase", delay_s=1)
    tabs = [new_page(), new_page()]
    for tab in tabs:
        tab.goto(session["url"])
        fill_card(tab)
    for tab in tabs:
        tab.get_by_role("button", name=PAY).dblclick(no_wait_after=True)
    for tab in tabs:
        tab.wait_for_url(BACK)
    made = [one for one in shop.payments() if one["reference"] == "clicked twice"]
    assert [one["status"] for one in made] == ["captured"]


def test_an_answer_that_is_lost_is_asked_for(shop: Shop, new_page: NewPage) -> None:
    """When the connection breaks after the form is sent, the page finds out what became of it."""
    session = shop.session()
    page = new_page()
    page.goto(session["url"])
    fill_card(page)

    def lose(route: Any) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        route.fetch()
        route.abort("connectionreset")

    page.route("**/checkout/*", lose)
    page.get_by_role("button", name=PAY).click()
    page.wait_for_url(BACK)
    assert shop.get(session)["attempts"] == 1


def test_a_page_past_its_time_says_so(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """Expired, with the way back; and an address that nobody has."""
    session = shop.session(expires_in_s=60)
    page = new_page()
    page.goto(session["url"])
    shop.ask("POST", "/v1/sandbox/clock", {"forward_s": 120})
    fill_card(page)
    page.get_by_role("button", name=PAY).click()
    expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()
    inspect(page, "expired")
    page.goto(shop.origin + "/checkout/" + "0" * 52)
    expect(page.get_by_role("heading", name="We cannot find this page")).to_be_visible()
    inspect(page, "unknown")


def test_ten_declined_cards_are_enough(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """The session has failed; the page says that nothing was taken and leads back."""
    session = shop.session()
    page = new_page(java_script_enabled=False)
    page.goto(session["url"])
    for _ in range(ATTEMPTS_MAX):
        page.locator("#number").fill("4000000000000002")
        page.locator("#expiry").fill("12/34")
        page.locator("#cvc").fill("123")
        page.get_by_role("button", name=PAY).click()
    expect(page.get_by_role("heading", name="Payment not completed")).to_be_visible()
    assert shop.get(session)["status"] == "failed"
    inspect(new_page_at(new_page, session["url"]), "failed")


def new_page_at(new_page: NewPage, address: str) -> Page:
    page = new_page()
    page.goto(address)
    return page


def test_an_order_that_changes_waits_for_its_merchant(
    shop: Shop, new_page: NewPage, inspect: Inspect
) -> None:
    """Locked: the page says why it waits, and goes on by itself."""
    session = shop.session()
    shop.write("UPDATE checkout_session SET state = 'locked', lock_id = 'lock_1' WHERE id = ?", session["id"])
    page = new_page_at(new_page, session["url"])
    expect(page.get_by_role("heading", name="Your order is being updated")).to_be_visible()
    inspect(page, "locked")
    shop.write("UPDATE checkout_session SET state = 'open', lock_id = NULL WHERE id = ?", session["id"])
    expect(page.get_by_role("button", name=PAY)).to_be_visible()


def test_what_was_not_sent_may_be_tried_again(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """The acquirer is out of reach: with and without scripts the page says that nothing was sent."""
    session = shop.session()
    shop.fault(trouble="drop_before_write", operation="purchase", count=2)
    page = new_page_at(new_page, session["url"])
    fill_card(page)
    page.get_by_role("button", name=PAY).click()
    expect(page.get_by_role("alert")).to_contain_text("Your payment was not sent")
    inspect(page, "not-sent")
    plain = new_page(java_script_enabled=False)
    plain.goto(session["url"])
    plain.locator("#number").fill("4242424242424242")
    plain.locator("#expiry").fill("12/34")
    plain.locator("#cvc").fill("123")
    plain.get_by_role("button", name=PAY).click()
    expect(plain.get_by_role("heading", name="Something went wrong")).to_be_visible()
    plain.get_by_role("link", name="Try again").click()
    expect(plain.get_by_role("button", name=PAY)).to_be_visible()
    page.locator("#cvc").press_sequentially("123")
    page.get_by_role("button", name=PAY).click()
    page.wait_for_url(BACK)


def test_a_card_may_be_stored_without_paying(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """An order of nothing verifies the card and keeps it."""
    session = shop.session(amount_minor=0, lines=[], save="payment_token")
    page = new_page()
    page.goto(session["url"])
    inspect(page, "store-card")
    fill_card(page)
    page.get_by_role("button", name="Save card").click()
    page.wait_for_url(BACK)
    assert shop.get(session)["payment_token"].startswith("pt_")
    page.goto(session["url"])
    inspect(page, "stored")


def test_other_ways_to_pay_are_buttons(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """Each leads to the merchant's address."""
    page = new_page()
    other = {"name": "invoice", "label": "Pay by invoice", "url": shop.origin + SHOP + "?invoice"}
    page.goto(shop.session(other_methods=[other])["url"])
    inspect(page, "other-methods")
    page.get_by_role("link", name="Pay by invoice").click()
    page.wait_for_url("**/livez?invoice")


def test_without_scripts_the_form_is_posted(shop: Shop, new_page: NewPage, inspect: Inspect) -> None:
    """One form to our own origin: errors, a decline, the payment and the way back work without JavaScript."""
    session = shop.session()
    page = new_page(java_script_enabled=False)
    page.goto(session["url"])
    page.locator("#number").fill("4242 4242 4242 4241")
    page.locator("#expiry").fill("1/34")
    page.locator("#cvc").fill("123")
    page.get_by_role("button", name=PAY).click()
    expect(page.locator("#number-error")).to_contain_text("not valid")
    assert page.locator("#number").input_value() == ""
    page.locator("#number").fill("4000 0000 0000 0002")
    page.locator("#expiry").fill("01/2034")
    page.locator("#cvc").fill("123")
    page.get_by_role("button", name=PAY).click()
    expect(page.get_by_role("alert")).to_contain_text("declined")
    page.locator("#number").fill("4242424242424242")
    page.locator("#expiry").fill("01/34")
    page.locator("#cvc").fill("123")
    page.get_by_role("button", name=PAY).click()
    page.wait_for_url(BACK)
    assert shop.get(session)["attempts"] == 2


def test_the_keyboard_is_enough(shop: Shop, new_page: NewPage) -> None:
    """From the first field to the payment by tabulator, space and enter, with a focus one can see."""
    session = shop.session(save="payment_token")
    page = new_page()
    page.goto(session["url"])
    page.keyboard.press("Tab")
    for typed in ("4242424242424242", "1234", "123", "Ada"):
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.keyboard.type(typed)
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.locator("#save").is_checked()
    page.keyboard.press("Tab")
    expect(page.locator("#pay")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(BACK)
    assert shop.get(session)["payment_token"].startswith("pt_")


def test_the_caret_stays_where_one_types(shop: Shop, new_page: NewPage) -> None:
    """Digits put into, and taken out of, the middle of a number do not throw the caret to its end."""
    page = new_page()
    page.goto(shop.session()["url"])
    number = page.locator("#number")
    number.press_sequentially("42424242")
    for _ in range(4):
        number.press("ArrowLeft")
    number.press("9")
    assert number.input_value() == "4242 9424 2"
    assert number.evaluate("field => field.selectionStart") == 6
    number.press("Backspace")
    assert number.input_value() == "4242 4242"
    number.press("Home")
    for _ in range(5):
        number.press("ArrowRight")
    number.press("Backspace")
    assert number.input_value() == "4244 242"
    assert number.evaluate("field => field.selectionStart") == 3
    number.fill("378282246310005")
    assert number.input_value() == "3782 822463 10005"
    expect(page.locator("#cvc-hint")).to_contain_text("4 digits")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_smallest_phone(shop: Shop, new_page: NewPage, inspect: Inspect, scheme: str) -> None:
    """At 320 px nothing is cut off, targets are large enough, and both colour schemes have contrast."""
    page = new_page(viewport={"width": 320, "height": 640}, color_scheme=scheme, has_touch=True)
    page.goto(shop.session(save="payment_token")["url"])
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    for control in page.locator("button, input:not([type=hidden]), a").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 24
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
    page.get_by_role("button", name=PAY).click()
    expect(page.locator("#number-error")).not_to_be_empty()
    inspect(page, f"phone-{scheme}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_is_whole(shop: Shop, new_page: NewPage, inspect: Inspect, language: str) -> None:
    """The browser's language decides; texts, amounts and the way out are in it."""
    session = shop.session(save="payment_token")
    page = new_page(locale=language)
    page.goto(session["url"])
    said = texts(language)
    assert page.locator("html").get_attribute("lang") == language
    expect(page.get_by_label(said["card_number"])).to_be_visible()
    expect(page.get_by_role("button", name=said["cancel"].format(merchant="First merchant"))).to_be_visible()
    amount = page.locator(".amount").inner_text()
    assert re.sub(r"\D", "", amount) == "124900"
    assert ("1,249.00" in amount) is (language == "en")
    inspect(page, f"language-{language}")


@pytest.fixture
def embedding(shop: Shop) -> Iterator[Callable[[str], str]]:
    """Another origin, whose page shows a checkout in a frame sandboxed as embedding programs do."""
    pages: dict[str, bytes] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages.get(self.path, b"<!doctype html><title>nothing</title>"))

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def place(address: str) -> str:
        sandbox = "allow-scripts allow-forms allow-same-origin allow-popups allow-top-navigation"
        pages["/shop"] = (
            '<!doctype html><html lang="en"><title>Shop</title><h1>Shop</h1>'
            f'<iframe title="Payment" src="{address}" sandbox="{sandbox}" width="500" height="900"></iframe>'
        ).encode()
        return f"http://127.0.0.1:{server.server_port}/shop"

    yield place
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_works_in_a_frame_of_another_origin(
    shop: Shop, new_page: NewPage, embedding: Callable[[str], str], screenshots: Any
) -> None:
    """Any page may embed it; no cookie and no access to the parent is needed."""
    session = shop.session()
    page = new_page()
    page.goto(embedding(session["url"]))
    frame = page.frame_locator("iframe")
    frame.locator("#number").press_sequentially("4242424242424242")
    frame.locator("#expiry").press_sequentially("1234")
    frame.locator("#cvc").press_sequentially("123")
    page.screenshot(path=screenshots / "framed.png")
    frame.get_by_role("button", name=PAY).click()
    expect(frame.get_by_text("alive")).to_be_visible()
    assert shop.get(session)["status"] == "completed"


def test_nothing_foreign_runs_there(shop: Shop, new_page: NewPage) -> None:
    """SEC-10: everything loaded is ours, scripts and styles carry their integrity, the policy is strict."""
    page = new_page()
    loaded: list[str] = []
    page.on("request", lambda request: loaded.append(request.url))
    answer = page.goto(shop.session()["url"])
    assert answer is not None
    assert all(url.startswith(shop.origin) for url in loaded)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors *" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    for tag in page.locator("script, link[rel=stylesheet]").all():
        assert (tag.get_attribute("integrity") or "").startswith("sha384-")
    assert page.locator("script:not([src])").count() == 0
    assert page.locator("[style], [onclick], [onsubmit]").count() == 0
    assert page.context.cookies() == []
