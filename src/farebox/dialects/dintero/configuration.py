"""What a session's configuration means: which card product its page offers, and which tokens it makes.

A configuration is blocks by gateway, each with products. Programs look for the discriminators
`payment_type` on blocks and `payment_product_type` on products, so every one shown has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from farebox.dialects.dintero.names import PAYMENT_TOKEN, PRODUCTS, RECURRENCE_TOKEN, Product
from farebox.dialects.dintero.reading import invalid, object_of, objects_of, text_of
from farebox.dialects.dintero.transactions import CREATED_BY, PRODUCT
from farebox.domain.checkout import SaveChoice, SaveTerms
from farebox.domain.facts import Facts
from farebox.domain.operations import Reason
from farebox.domain.tokens import StoredTokenKind

BLOCKS: Mapping[str, tuple[str, ...]] = {
    "bambora": ("applepay", "creditcard", "googlepay", "mobilepay", "vipps"),
    "collector": ("invoice", "invoice_b2b", "invoice_b2b_preapproved", "finance", "installment"),
    "dintero": ("wallets", "zero", "external"),
    "dintero_psp": ("creditcard", "vipps", "applepay", "googlepay", "clicktopay"),
    "instabank": ("finance", "invoice", "installment", "postponement"),
    "klarna": ("klarna", "billie"),
    "kravia": ("invoice_b2b", "invoice_b2b_grouped", "invoice_b2c"),
    "netaxept": ("creditcard",),
    "payex": ("swish", "creditcard", "mobilepay", "vipps", "applepay", "clicktopay", "googlepay"),
    "santander": ("debit_account",),
    "seitatech": ("in_person",),
    "swish": ("swish",),
    "two": ("invoice_b2b",),
}
"""The products of each block."""
_GIFT_CARDS_EXCLUDE = ("vipps", "swish.swish", "klarna.billie", "instabank", "collector", "netaxept")

DEFAULT: Facts = {
    "auto_capture": False,
    "channel": "ecommerce",
    "default_payment_type": "dintero_psp.creditcard",
    "dintero_psp": {"creditcard": {"enabled": True}},
    "payex": {"creditcard": {"enabled": False}},
    "bambora": {"creditcard": {"enabled": False}},
}
"""The profile `default`, which exists on every account."""


def laid_over(base: Facts, over: Facts) -> Facts:
    """Lay one configuration over another: objects are merged at every depth, all else is replaced."""
    merged = dict(base)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and isinstance(value, Mapping):
            merged[name] = laid_over(cast("Facts", below), cast("Facts", value))
        else:
            merged[name] = value
    return merged


def shown(configuration: Facts, *, with_payability: bool = True) -> dict[str, Any]:
    """Give a configuration with its discriminators, and with what can be paid here.

    Cards can; what is another company's wallet or invoice is there, and disabled by its gateway.
    """
    found = dict(configuration)
    for block, products in BLOCKS.items():
        given = found.get(block)
        if not isinstance(given, Mapping):
            continue
        members: dict[str, Any] = {**cast("Facts", given), "type": "payment_type"}
        for product in products:
            of_product = members.get(product)
            if isinstance(of_product, Mapping):
                typed: dict[str, Any] = {**cast("Facts", of_product), "type": "payment_product_type"}
                if with_payability:
                    is_ours = f"{block}.{product}" in PRODUCTS
                    typed["payability"] = "payable" if is_ours else "disabled_by_gateway"
                members[product] = typed
        found[block] = members
    return found


def _of(configuration: Facts, product: Product) -> Facts:
    gateway, _, name = product.type.partition(".")
    return object_of(object_of(configuration, gateway), name)


def enabled(configuration: Facts) -> Iterator[Product]:
    """Give the enabled card products, in the order in which the configuration names them."""
    every = object_of(configuration, "active_payment_types").get("enabled") is True
    gateways = list(configuration)
    known = sorted(
        PRODUCTS.values(),
        key=lambda one: gateways.index(one.gateway) if one.gateway in gateways else len(gateways),
    )
    for product in known:
        switch = _of(configuration, product).get("enabled")
        if switch is True or (every and switch is None):
            yield product


def card_product(configuration: Facts, preferred: str | None) -> Product | None:
    """Choose the product behind the page's card form: the stored card's, the default one, or the first."""
    found = {product.type: product for product in enabled(configuration)}
    for wanted in (preferred, text_of(configuration, "default_payment_type")):
        if wanted in found:
            return found[wanted]
    return next(iter(found.values()), None)


def asks_cvc(configuration: Facts, product: Product) -> bool:
    """Tell whether a stored card's security code is asked for."""
    return _of(configuration, product).get("no_cvc") is not True


_CHOICES: Mapping[str, SaveChoice] = {"opt_in": SaveChoice.OPT_IN, "opt_out": SaveChoice.OPT_OUT}


def token_terms(
    product: Product,
    types: tuple[str, ...],
    *,
    customer: str | None,
    created_by: str,
    choice: SaveChoice = SaveChoice.ALWAYS,
) -> SaveTerms | None:
    """Say which tokens a card becomes; every one may be used without the customer."""

    def terms(type_: str, also: tuple[SaveTerms, ...] = ()) -> SaveTerms:
        return SaveTerms(
            kind=StoredTokenKind.RECURRENCE_TOKEN,
            choice=choice,
            reason=Reason.RECURRING if type_ == RECURRENCE_TOKEN else Reason.UNSCHEDULED,
            customer_reference=customer,
            facts={PRODUCT: product.type, "type": type_, CREATED_BY: created_by},
            also=also,
        )

    if not types:
        return None
    return terms(types[0], tuple(terms(type_) for type_ in types[1:]))


def tokens_of(
    configuration: Facts, product: Product, *, customer: str | None, created_by: str
) -> SaveTerms | None:
    """Say which tokens a purchase makes by its configuration."""
    of_product = _of(configuration, product)
    asked = [
        type_
        for type_ in (PAYMENT_TOKEN, RECURRENCE_TOKEN)
        if of_product.get(f"generate_{type_}") is True and type_ in product.token_types
    ]
    checkbox = text_of(object_of(of_product, "generate_payment_token_config"), "save_card_checkbox")
    is_asked = product.gateway == "dintero_psp" and checkbox is not None
    choice = _CHOICES.get(checkbox or "", SaveChoice.ALWAYS) if is_asked else SaveChoice.ALWAYS
    return token_terms(product, tuple(asked), customer=customer, created_by=created_by, choice=choice)


def check(configuration: Facts, order: Facts) -> None:
    """Refuse what excludes itself.

    Raises:
        WireRefusal: gift cards beside products that take none; automatic capture of lines to be split later.
    """
    if object_of(object_of(configuration, "dintero"), "wallets").get("enabled") is True:
        for name in _GIFT_CARDS_EXCLUDE:
            if _is_enabled(configuration, name):
                raise invalid("configuration.dintero.wallets", f"cannot be enabled together with {name}")
    splits = (item.get("splits") for item in objects_of(order, "items"))
    if configuration.get("auto_capture") is True and any(one == [] for one in splits):
        raise invalid("configuration.auto_capture", "needs splits that are known")


def _is_enabled(configuration: Facts, name: str) -> bool:
    gateway, _, product = name.partition(".")
    block = object_of(configuration, gateway)
    if product:
        return object_of(block, product).get("enabled") is True
    products = (object_of(block, one) for one in BLOCKS.get(gateway, ()))
    return block.get("enabled") is True or any(one.get("enabled") is True for one in products)
