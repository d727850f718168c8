"""Payment links and their neighbours.

A payment link is a pending payment with a page: who opens the page pays or does not. In the sandbox that is
the tester's page of every other alternative medium; it takes no card.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from farebox.dialects.bamboo import wire, wire_links
from farebox.dialects.bamboo.errors import refusal
from farebox.dialects.bamboo.mapping_v1 import check_refundable
from farebox.dialects.bamboo.presenting import (
    APPROVED,
    CANCELLED_STATE,
    PENDING,
    REJECTED,
    State,
    page_url,
    state_of,
    state_of_operation,
)
from farebox.dialects.bamboo.reading import AnyCall, callback_of, read_data_uy
from farebox.dialects.bamboo.tables import (
    MEDIA_TYPES,
    Country,
    Medium,
    countries,
    country_of_currency,
    media,
    media_type_of,
    pse_banks,
)
from farebox.dialects.bamboo.values import (
    PLAIN,
    URL_LENGTH_MAX,
    clip,
    money_of,
    object_of,
    order_of,
    present,
)
from farebox.dialects.dialect import Answer, Call
from farebox.domain.access import Mode
from farebox.domain.customers import Customer
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, Forbidden
from farebox.domain.ids import PaymentId, id_of, uuid_of
from farebox.domain.instruments import AlternativeMethod, MethodFamily
from farebox.domain.operations import OperationKind
from farebox.domain.tokens import TokenState, TokenString
from farebox.ports.storage import Page, PageRequest
from farebox.services.commands import (
    Attempt,
    Command,
    CreateCustomer,
    CreateDocument,
    DeleteCustomer,
    FollowUp,
    FromInstrument,
    GetDocument,
    GetPayment,
    Give,
    ListCustomers,
    LookAtSingleUseToken,
    Mapped,
    Pay,
    PaymentView,
    SingleUseTokenView,
    Then,
    UpdateDocument,
    VisitorPage,
)

_PAYER = "payment_link_payer"
"""The kind of document that says who pays a link, told after it was made."""
_MINUTES_MAX = 525_600
_PAGE_OUTLIVES = timedelta(days=7)
NothingCall = Call[wire.Nothing, wire.Nothing]


# --- payment links ---------------------------------------------------------------------------------


def read_link(call: Call[wire_links.LinkIn, wire.Nothing]) -> Command[PaymentView]:
    """Read a payment link to make.

    Raises:
        WireRefusal: `PR003`, `PR004`, `TR017` for an unknown type, `TR016` for a time that is none.
    """
    body = call.body
    if body.amount is None:
        raise refusal("PR003")
    if not body.currency_code:
        raise refusal("PR004")
    if (body.payment_type or "CheckoutPro").lower() not in {"qr", "checkoutpro"}:
        raise refusal("TR017")
    if not 1 <= body.valid_for_minutes <= _MINUTES_MAX:
        raise refusal("TR016")
    money = money_of(body.amount, body.currency_code.upper())
    country = country_of_currency(money.currency)
    lifetime = timedelta(minutes=body.valid_for_minutes)
    ends_at = call.now + lifetime
    customer = _customer_facts(body.customer)
    facts = present(
        {
            "generation": "links",
            "country": country,
            "installments": 1,
            "valid_for_minutes": body.valid_for_minutes,
            "expires_at": ends_at.timestamp(),
            "metadata_in": body.metadata or body.metadata_in,
            "line_items": body.line_items,
            "data_uy": _data_uy(body),
            "customer": customer,
            "redirection": present(
                {
                    "Url_Approved": clip(body.on_success_result_url, URL_LENGTH_MAX),
                    "Url_Rejected": clip(body.on_error_result_url, URL_LENGTH_MAX),
                    "Url_Canceled": clip(body.on_cancel_result_url, URL_LENGTH_MAX),
                    "Url_Notify": clip(body.notification_url, URL_LENGTH_MAX),
                }
            ),
        }
    )
    return Pay(
        kind=OperationKind.PURCHASE,
        money=money,
        source=FromInstrument(AlternativeMethod("link", MethodFamily.REDIRECT, country, ends_at)),
        reference=order_of(body.order_number),
        new_customer=CreateCustomer(facts={**customer, "owner": "Anonymous"}),
        visitor_page=VisitorPage("CA_", lifetime + _PAGE_OUTLIVES),
        callback=callback_of({"Url_Notify": clip(body.notification_url, URL_LENGTH_MAX)}),
        facts=facts,
    )


def _data_uy(body: wire_links.LinkIn) -> dict[str, object] | None:
    data = body.country_data
    if data is None:
        return None
    return read_data_uy(
        wire.DataUyIn(
            is_final_consumer=data.is_final_customer,
            invoice=data.invoice_number,
            taxable_amount=data.taxable_amount,
        ),
        body.amount,
    )


def _customer_facts(customer: wire_links.CustomerIn | None) -> dict[str, object]:
    if customer is None:
        return {}
    return present(
        {
            "commerce_id": clip(customer.identifier),
            "email": clip(customer.email),
            "first_name": clip(customer.first_name),
            "last_name": clip(customer.last_name),
            "document_type": clip(customer.document_type_id),
            "document": clip(customer.document_number),
            "phone": clip(customer.phone_number),
            "billing": _address_facts(customer.billing_address),
            "shipping": _address_facts(customer.shipping_address),
        }
    )


def _address_facts(address: wire_links.AddressIn | None) -> dict[str, object] | None:
    if address is None:
        return None
    return present(
        {
            "type": 1,
            "detail": clip(address.detail),
            "country": clip(address.country),
            "state": clip(address.state),
            "city": clip(address.city),
            "postal_code": clip(address.postal_code),
        }
    )


def write_link(view: PaymentView, call: AnyCall) -> wire_links.LinkOut:
    """Show a payment link."""
    payment = view.payment
    minutes = payment.facts.get("valid_for_minutes")
    return wire_links.LinkOut(
        payment_id=uuid_of(payment.id),
        redirect_url=page_url(payment, call) or "",
        valid_for_minutes=minutes if isinstance(minutes, int) else 0,
    )


def _find(call: AnyCall) -> Command[PaymentView]:
    identifier = id_of("pay", call.path["payment_id"])
    if identifier is None:
        raise refusal("PR008", status=404)
    return GetPayment(PaymentId(identifier))


def read_link_state(call: NothingCall) -> Command[PaymentView]:
    """Read which payment link to show.

    Raises:
        WireRefusal: `PR008`.
    """
    return _find(call)


_LINK_STATES: Mapping[State, str] = {
    APPROVED: "completed",
    PENDING: "pending",
    REJECTED: "failed",
    CANCELLED_STATE: "canceled",
}


def write_link_state(view: PaymentView, call: AnyCall) -> wire_links.LinkStateOut:
    """Show what became of a payment link."""
    payment = view.payment
    state = state_of(payment)
    return wire_links.LinkStateOut(
        payment_status=_LINK_STATES.get(state, "pending"),
        transaction_status=state.word.lower(),
        purchase_id=PLAIN.number_of(payment.id),
        metadata=dict(object_of(payment.facts, "metadata_in")),
    )


def read_link_refund(call: Call[wire_links.LinkAmountIn, wire.Nothing]) -> Command[PaymentView]:
    """Read how much of a payment link to refund.

    Raises:
        WireRefusal: `PR003`, `PR008` or `PR009`.
    """

    def then(view: PaymentView) -> Command[PaymentView]:
        payment, amount = view.payment, call.body.amount
        amount_minor = None if amount is None else money_of(amount, payment.currency).amount_minor
        check_refundable(payment, amount_minor)
        return FollowUp(payment.id, OperationKind.REFUND, amount_minor)

    return Then(_find(call), then)


def write_link_refund(view: PaymentView, call: AnyCall) -> wire_links.LinkRefundOut:
    """Show what became of a refund."""
    assert view.operation is not None, "a refund makes an operation"
    words = {APPROVED: "success", PENDING: "pending"}
    return wire_links.LinkRefundOut(status=words.get(state_of_operation(view.operation), "rejected"))


def read_link_patch(call: Call[wire_links.LinkPatchIn, wire.Nothing]) -> Command[PaymentView]:
    """Read who pays a link; told again it replaces what was told before.

    Raises:
        WireRefusal: `CS003` without the customer's identifier, `PR008`.
    """
    facts = _customer_facts(call.body.customer)
    if "commerce_id" not in facts:
        raise refusal("CS003")

    def then(view: PaymentView) -> Command[PaymentView]:
        name = view.payment.id

        def keep(document: Document | None) -> Command[PaymentView]:
            if document is None:
                return Mapped(CreateDocument(_PAYER, facts, name=name), lambda _: view)
            return Mapped(UpdateDocument(_PAYER, document.id, document.version, facts=facts), lambda _: view)

        return Then(Attempt(GetDocument(_PAYER, name, by_name=True)), keep)

    return Then(_find(call), then)


# --- customers of links ----------------------------------------------------------------------------


def _of_identifier(identifier: str) -> Command[Customer | None]:
    page = PageRequest(limit=1, filters={"reference": identifier})

    def first(found: Page[Customer]) -> Command[Customer | None]:
        return Give(found.items[0] if found.items else None)

    return Then(ListCustomers(page), first)


def _known(customer: Customer | None) -> Customer:
    if customer is None:
        raise refusal("CS003", status=404)
    return customer


def read_account_link(call: Call[wire_links.AccountLinkIn, wire.Nothing]) -> Command[Customer]:
    """Read whose account to link; an unknown customer is stored.

    Raises:
        WireRefusal: `CS003` without identifier, `TR017` for an unknown type, `TR016` for a time that is none.
    """
    facts = _customer_facts(call.body.customer)
    identifier = facts.get("commerce_id")
    if not isinstance(identifier, str):
        raise refusal("CS003")
    if (call.body.account_link_type or "").lower() != "qr":
        raise refusal("TR017")
    if not 1 <= call.body.valid_for_minutes <= _MINUTES_MAX:
        raise refusal("TR016")
    email = facts.get("email")

    def then(customer: Customer | None) -> Command[Customer]:
        if customer is not None:
            return Give(customer)
        return CreateCustomer(
            reference=identifier,
            email=email if isinstance(email, str) else None,
            facts={**facts, "owner": "Commerce"},
        )

    return Then(_of_identifier(identifier), then)


def write_account_link(
    customer: Customer, call: Call[wire_links.AccountLinkIn, wire.Nothing]
) -> wire_links.AccountLinkOut:
    """Show where a customer links an account."""
    identifier = uuid_of(customer.id)
    return wire_links.AccountLinkOut(
        customer_id=identifier,
        redirect_url=f"{call.base_url}/v1/Capture/?session_id=UI_{identifier}",
        valid_for_minutes=call.body.valid_for_minutes,
    )


def read_link_customer(call: NothingCall) -> Command[Customer]:
    """Read which customer to show, by the merchant's own name for them.

    Raises:
        WireRefusal: `CS003`.
    """
    return Then(_of_identifier(call.path["identifier"]), lambda found: Give(_known(found)))


def read_link_customer_deletion(call: NothingCall) -> Command[Customer]:
    """Read which customer to delete, with every card stored for them.

    Raises:
        WireRefusal: `CS003`.
    """
    return Then(_of_identifier(call.path["identifier"]), lambda found: DeleteCustomer(_known(found).id))


def write_link_customer(customer: Customer, call: AnyCall) -> wire_links.LinkCustomerOut:
    """Show a customer."""
    facts = customer.facts
    names = {
        "identifier": customer.reference,
        "email": customer.email,
        "firstName": facts.get("first_name"),
        "lastName": facts.get("last_name"),
        "documentTypeId": facts.get("document_type"),
        "documentNumber": facts.get("document"),
        "phoneNumber": facts.get("phone"),
    }
    return wire_links.LinkCustomerOut(customer=dict(names))


def write_link_success(customer: Customer, call: AnyCall) -> wire_links.LinkAnswer:
    """Say that it was done."""
    return wire_links.LinkAnswer()


# --- countries and methods -------------------------------------------------------------------------


def read_nothing(call: AnyCall) -> Command[None]:
    """Read what everybody with a key may ask."""
    return Give(None)


def write_methods(result: None, call: AnyCall) -> wire_links.MethodsOut:
    """Show every country's payment methods."""
    return wire_links.MethodsOut(
        country_payment_methods=tuple(
            wire_links.CountryMethodsOut(
                name=country.name,
                iso_code=country.code,
                local_currency=wire_links.CurrencyOut(iso=country.currencies[0]),
                payment_methods=tuple(_method_out(one) for one in media() if one.country == country.code),
            )
            for country in countries().values()
        )
    )


def _method_out(medium: Medium) -> wire_links.MethodOut:
    name = media_type_of(medium)
    return wire_links.MethodOut(
        id=medium.id,
        name=medium.name,
        type=wire_links.MethodTypeOut(id=MEDIA_TYPES[name], name=name, description=name),
        flow="redirect" if medium.flow == "redirect" else "common",
    )


def _country_out(country: Country) -> wire_links.CountryOut:
    return wire_links.CountryOut(
        id=country.id,
        name=country.name,
        iso_code=country.code,
        phone_prefix=country.phone_prefix,
        keywords=(country.name.lower(), country.code.lower()),
    )


def _documents_out(country: Country) -> tuple[wire_links.DocumentTypeOut, ...]:
    return tuple(
        wire_links.DocumentTypeOut(
            id=number,
            description=name,
            abbreviation=code.partition(".")[0],
            is_physical_person=is_person,
        )
        for number, code, name, is_person in country.documents
    )


def write_countries(result: None, call: AnyCall) -> wire_links.CountriesOut:
    """Show every country."""
    return wire_links.CountriesOut(countries=tuple(_country_out(one) for one in countries().values()))


def read_country(call: AnyCall) -> Command[Country]:
    """Read which country to look at, by its id or its code.

    Raises:
        WireRefusal: `PR034`.
    """
    named = call.path["country"].upper()
    found = next((one for one in countries().values() if named in {str(one.id), one.code}), None)
    if found is None:
        raise refusal("PR034", status=404)
    return Give(found)


def write_country(country: Country, call: AnyCall) -> wire_links.OneCountryOut:
    """Show a country with its types of documents."""
    shown = _country_out(country)
    return wire_links.OneCountryOut(
        country=wire_links.CountryWithDocumentsOut(
            id=shown.id,
            name=shown.name,
            iso_code=shown.iso_code,
            phone_prefix=shown.phone_prefix,
            keywords=shown.keywords,
            document_types=_documents_out(country),
        )
    )


def write_document_types(country: Country, call: AnyCall) -> wire_links.DocumentTypesOut:
    """Show a country's types of documents."""
    return wire_links.DocumentTypesOut(document_types=_documents_out(country))


def write_issuer_banks(country: Country, call: AnyCall) -> wire_links.BanksOut:
    """Show a country's banks that issue cards."""
    banks = tuple(wire_links.BankOut(id=number, name=name) for number, name in country.issuer_banks)
    return wire_links.BanksOut(issuer_banks=banks)


def read_rate(call: Call[wire.Nothing, wire_links.RateQuery]) -> Command[Country]:
    """Read which country's currency to convert into; the sandbox's rates are for test mode.

    Raises:
        WireRefusal: `PR003` or `PR034`.
        Forbidden: `mode_mismatch`.
    """
    if call.principal.tenant.mode is not Mode.TEST:
        raise Forbidden(ErrorCode.MODE_MISMATCH)
    if call.query.amount < 1:
        raise refusal("PR003")
    return read_country(call)


def write_rate(country: Country, call: Call[wire.Nothing, wire_links.RateQuery]) -> wire_links.RateOut:
    """Show an amount in the local currency, by the sandbox's rate."""
    return wire_links.RateOut(amount=call.query.amount * country.sandbox_rate // 100)


# --- neighbours ------------------------------------------------------------------------------------


def write_pse_banks(result: None, call: AnyCall) -> Answer:
    """Show the banks of Colombia's PSE; a bare list, whose first entry is no bank."""
    return Answer([wire_links.PseBankOut(code=code, name=name) for code, name in pse_banks()])


def read_loyalty(call: Call[wire_links.LoyaltyIn, wire.Nothing]) -> Command[None]:
    """Refuse to ask for points: there is no loyalty program here.

    Raises:
        WireRefusal: `LP0001` without token, `TK006` for a used or expired one, `LP004` otherwise.
    """
    if not call.body.trx_token:
        raise refusal("LP0001")

    def judge(view: SingleUseTokenView | None) -> Command[None]:
        if view is None or view.token.state is not TokenState.MINTED:
            raise refusal("TK006")
        raise refusal("LP004")

    return Then(Attempt(LookAtSingleUseToken(TokenString(call.body.trx_token))), judge)


def write_nothing(result: None, call: AnyCall) -> None:
    """Answer without a body."""
