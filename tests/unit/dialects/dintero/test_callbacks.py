"""Callbacks: the published vector of the signature, and what an address may ask for."""

from __future__ import annotations

import pytest

from farebox.dialects.dintero.callbacks import Controls, controls_of, signature, text_to_sign
from farebox.dialects.dintero.outcomes import with_parameters


def test_the_published_vector() -> None:
    """Source: Dintero's guide on validating callbacks."""
    signed = signature("123", "P00000000", "GET", "https://example.com/callback?B=123&A=992", 1582236537)
    assert signed == (
        "t=1582236537,v0-hmac-sha256=6bed2ab1b919d460ef7465a20dc6c97260dca73fab6647106ca525f0908df64a"
    )


def test_an_address_with_blanks_and_colons_is_signed_in_its_form_encoding() -> None:
    """A second vector, computed by hand from the published rule: names in order, a blank as `+`."""
    query = (
        "method=POST&report_error=true&delay_callback=5&transaction_id=T20044310.5dNn4TtUv9sXyZa2BcDeFg"
        "&session_id=T20044310.5dNn3QzYkV8rWcXb1LtHmA&merchant_reference=88+a&time=2026-09-21T14%3A13%3A20.000Z"
    )
    url = f"https://shop.example:8443/hook?{query}"
    assert text_to_sign("T20044310", "POST", url, 1790000000).split("\n") == [
        "1790000000",
        "T20044310",
        "POST",
        "shop.example",
        "/hook",
        (
            "delay_callback=5&merchant_reference=88+a&method=POST&report_error=true"
            "&session_id=T20044310.5dNn3QzYkV8rWcXb1LtHmA&time=2026-09-21T14%3A13%3A20.000Z"
            "&transaction_id=T20044310.5dNn4TtUv9sXyZa2BcDeFg"
        ),
    ]
    assert signature("skolebolle", "T20044310", "POST", url, 1790000000).endswith(
        "=2d7aad055810c77d5bd4070a38f37c1cfe79c440ea3b6de840ebf71b24bbc2b9"
    )


@pytest.mark.parametrize(
    ("query", "controls"),
    [
        ("", Controls()),
        ("method=GET&report_error=false&delay_callback=x", Controls()),
        ("method=POST&report_error=true&delay_callback=30&includes=session",
         Controls("POST", reports_error=True, delay_s=30, includes_session=True)),
        ("delay_callback=120&sid_parameter_name=sid&report_event=CAPTURE&report_event=void&report_event=NONE",
         Controls(delay_s=60, session_parameter="sid", reports=frozenset({"CAPTURE", "VOID"}))),
    ],
)  # fmt: skip
def test_what_an_address_asks_for(query: str, controls: Controls) -> None:
    """Control parameters are read leniently: a delay too long is the longest, an unknown event is none."""
    assert controls_of(f"https://shop.example/hook?{query}") == controls


def test_what_the_merchant_wrote_stays_as_it_is() -> None:
    """Parameters are appended; nothing of the address is written anew."""
    assert with_parameters("https://s.example/k?a=%20b&c", {"merchant_reference": "88 a"}) == (
        "https://s.example/k?a=%20b&c&merchant_reference=88+a"
    )
    assert with_parameters("shop://done", {"x": "1"}) == "shop://done?x=1"
    assert with_parameters("https://s.example/k#f", {"x": "1"}) == "https://s.example/k?x=1#f"
