"""3-D Secure 1 and 2, with an access control server of our own that runs without any network.

What a card does is a table by its BIN and last four digits. The server that plays the issuer keeps
nothing: what it is asked comes with the form, and what it answers is in the answer, as in the real protocol.
Both are unsigned, because only test cards and test merchants meet here.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, UUID, uuid5

from farebox.dialects.dialect import Answer, Call, NoBody, NoQuery, PageView
from farebox.dialects.paysafe import wire
from farebox.dialects.paysafe.errors import refusal
from farebox.dialects.paysafe.mapping.common import (
    AnyCall,
    Json,
    amount_minor,
    instant,
    our_id,
    plain,
    present,
    read_card,
    reference,
)
from farebox.dialects.paysafe.mapping.tokens import Looked, look
from farebox.dialects.paysafe.tables import card_type
from farebox.domain.cards import Card
from farebox.domain.documents import Document
from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.ids import DocumentId, uuid_of
from farebox.domain.instruments import InstrumentKind, InstrumentSummary, summary_of
from farebox.domain.money import exponent_of
from farebox.services import commands

ENROLLMENT, AUTHENTICATION, AUTHENTICATION_2 = "enrollment_check", "authentication", "authentication_2"
WAITING, DONE = "pending", "completed"

_ENROLLED = frozenset(
    {
        ("410785", "3670"),
        ("420672", "5635"),
        ("420672", "3775"),
        ("518675", "7720"),
        ("557356", "2200"),
        ("400000", "1091"),
        ("400000", "2503"),
        ("400000", "0051"),
    }
)
"""Cards that the documentation marks for 3-D Secure 1, by BIN and last four; no other one takes part."""
_UNKNOWN = frozenset({("400000", "1034")})

_OUTCOMES: Mapping[tuple[str, str], str] = {
    ("400000", "0051"): "Y",
    ("400000", "1000"): "Y",
    ("400000", "1018"): "N",
    ("400000", "1026"): "A",
    ("400000", "1034"): "U",
    ("400000", "1042"): "R",
    ("400000", "1091"): "C",
    ("400000", "2503"): "C",
}
"""What version 2 makes of a card; every other one is authenticated without a challenge.

Source: Paysafe's samples for 0051, 1091 and 2503; the others are the network's published test numbers.
"""

RESULTS = ("Y", "A", "N", "U")
_ECI: Mapping[tuple[str, str], int] = {
    ("MC", "Y"): 2,
    ("MC", "A"): 1,
    ("MC", "N"): 0,
    ("MC", "U"): 0,
    ("MC", "R"): 0,
}
_ECI_OF_OTHERS: Mapping[str, int] = {"Y": 5, "A": 6, "N": 7, "U": 7, "R": 7}


def _eci(type_: str, result: str) -> int:
    return _ECI.get((type_, result), _ECI_OF_OTHERS[result])


def _cavv(seed: str) -> str:
    """Make the 20 bytes that stand for a cryptogram; nobody checks them here."""
    return b64encode(uuid5(NAMESPACE_URL, seed).bytes + b"\0\0\0\1").decode()


def _pack(value: Json) -> str:
    return b64encode(json.dumps(value, separators=(",", ":")).encode()).decode()


def _unpack(text: str, field: str) -> Json:
    """Read what `_pack` wrote.

    Raises:
        WireRefusal: 5068 for anything else.
    """
    try:
        value: Any = json.loads(b64decode(text, validate=True))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise refusal("5068", field, "cannot be read")
    return cast("Json", value)


def _summary(
    card: wire.ThreeDCard,
    then: Callable[[InstrumentSummary, str | None], commands.Command[Any]],
) -> commands.Command[Any]:
    """Find out which card it is, then act; a token is only looked at."""
    if card.cardNum is not None:
        found: Card = read_card(card.cardNum, card.cardExpiry, holder=card.holderName)
        return then(summary_of(found), card.holderName)
    if card.paymentToken is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="card.cardNum")

    def looked(found: Looked) -> commands.Command[Any]:
        if found.summary.kind is not InstrumentKind.CARD:
            raise refusal("5502")
        return then(found.summary, found.details.holder_name if found.details else None)

    return look(card.paymentToken, looked)


def _place(summary: InstrumentSummary) -> tuple[str, str]:
    return (summary.bin or "")[:6], summary.last_four


def _card(summary: InstrumentSummary, holder: str | None = None) -> Json:
    type_ = card_type(summary) or "VI"
    return {
        "cardType": type_,
        "type": type_,
        "cardBin": summary.bin,
        "lastDigits": summary.last_four,
        "cardExpiry": {"month": summary.exp_month, "year": summary.exp_year},
        **present(holderName=holder),
    }


def _check_money(body: wire.EnrollmentIn | wire.ThreeDSIn) -> int:
    exponent_of(body.currency)
    if body.amount is None or (body.amount == 0 and isinstance(body, wire.ThreeDSIn)):
        if body.amount is None:
            raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="amount")
        return 0
    return amount_minor(body.amount)


# --- version 1 -------------------------------------------------------------------------------------


def read_enrollment(call: Call[wire.EnrollmentIn, NoQuery]) -> commands.Command[Document]:
    """Read whether a card takes part."""
    body = call.body
    ref, amount = reference(body.merchantRefNum), _check_money(body)

    def create(summary: InstrumentSummary, holder: str | None) -> commands.Command[Document]:
        place = _place(summary)
        enrolled = "Y" if place in _ENROLLED else "U" if place in _UNKNOWN else "N"
        card = _card(summary)
        card.pop("cardBin")
        facts = {
            "merchantRefNum": ref,
            "amount": amount,
            "currency": body.currency,
            "threeDEnrollment": enrolled,
            "card": card,
            **present(customerIp=body.customerIp, merchantUrl=body.merchantUrl),
            **({} if enrolled == "Y" else {"eci": _eci(card["type"], "A" if enrolled == "N" else "U")}),
        }
        return commands.CreateDocument(ENROLLMENT, facts, state=DONE)

    return _summary(body.card, create)


def _account_path(call: AnyCall, version: int, rest: str) -> str:
    return f"{call.base_url}/threedsecure/v{version}/accounts/{call.path['account']}/{rest}"


def enrollment_body(document: Document, call: AnyCall) -> Json:
    """Show an enrolment check."""
    facts, id_ = document.facts, uuid_of(document.id)
    body: Json = {
        "links": [{"rel": "self", "href": _account_path(call, 1, f"enrollmentchecks/{id_}")}],
        "id": id_,
        "merchantRefNum": facts.get("merchantRefNum"),
        "txnTime": instant(document.created_at),
        "status": "COMPLETED",
        **present(eci=facts.get("eci"), customerIp=facts.get("customerIp")),
        "threeDEnrollment": facts.get("threeDEnrollment"),
        "card": facts.get("card"),
    }
    if facts.get("threeDEnrollment") == "Y":
        body["acsURL"] = f"{call.base_url}/threedsecure/v1/acs"
        body["paReq"] = _pack(
            {
                "id": id_,
                "amount": facts.get("amount"),
                "currency": facts.get("currency"),
                **_shown_card(facts),
            }
        )
    return body


def _shown_card(facts: Mapping[str, Any]) -> Json:
    card: Any = facts.get("card", {})
    return {"card": f"{card.get('type', '')} ending in {card.get('lastDigits', '')}"}


def write_enrollment(document: Document, call: AnyCall) -> Answer:
    """Answer an enrolment check."""
    return Answer(enrollment_body(document, call))


def _document(kind: str) -> Callable[[AnyCall], commands.GetDocument]:
    def read(call: AnyCall) -> commands.GetDocument:
        return commands.GetDocument(kind, DocumentId(our_id("doc", call.path["id"])))

    return read


read_enrollment_lookup = _document(ENROLLMENT)


def read_authentication(call: Call[wire.AuthenticateIn, NoQuery]) -> commands.Command[Document]:
    """Read what the access control server answered."""
    body = call.body
    ref, answer = reference(body.merchantRefNum), _unpack(body.paRes, "paRes")
    result = answer.get("result")
    if result not in RESULTS or answer.get("id") != call.path["id"]:
        raise refusal("5068", "paRes", "does not belong to this enrollment check")

    def create(enrollment: Document) -> commands.Command[Document]:
        card: Any = enrollment.facts["card"]
        id_ = call.path["id"]
        facts: Json = {
            "merchantRefNum": ref,
            "threeDResult": result,
            "signatureStatus": "Y",
            "eci": _eci(card["type"], result),
            **(
                {"cavv": _cavv(id_), "xid": b64encode(UUID(id_).bytes + b"\0\0\0\2").decode()}
                if result in {"Y", "A"}
                else {}
            ),
        }
        return commands.CreateDocument(AUTHENTICATION, facts, state=DONE, parent_id=enrollment.id)

    return commands.Then(read_enrollment_lookup(call), create)


def authentication_body(document: Document, call: AnyCall) -> Json:
    """Show an authentication."""
    id_ = uuid_of(document.id)
    failed = document.facts.get("threeDResult") == "N"
    return {
        "links": [{"rel": "self", "href": _account_path(call, 1, f"authentications/{id_}")}],
        "id": id_,
        "txnTime": instant(document.created_at),
        "status": "FAILED" if failed else "COMPLETED",
        **dict(document.facts),
    }


def write_authentication(document: Document, call: AnyCall) -> Answer:
    """Answer an authentication."""
    return Answer(authentication_body(document, call))


Expanded = tuple[Document, Document | None]


def read_authentication_lookup(
    call: Call[NoBody, wire.AuthenticationQuery],
) -> commands.Command[Expanded]:
    """Read which authentication to show, and whether with its enrolment check."""
    wanted = "enrollmentchecks" in (call.query.fields or "").lower().split(",")

    def with_enrollment(document: Document) -> commands.Command[Expanded]:
        if not wanted or document.parent_id is None:
            return commands.Give((document, None))
        parent = commands.GetDocument(ENROLLMENT, DocumentId(document.parent_id))
        return commands.Then(commands.Attempt(parent), lambda found: commands.Give((document, found)))

    return commands.Then(_document(AUTHENTICATION)(call), with_enrollment)


def write_authentication_lookup(found: Expanded, call: AnyCall) -> Answer:
    """Show an authentication."""
    document, enrollment = found
    body = authentication_body(document, call)
    if enrollment is not None:
        body["enrollmentchecks"] = [enrollment_body(enrollment, call)]
    return Answer(body)


# --- version 2 -------------------------------------------------------------------------------------


def read_jwt(call: Call[wire.JwtIn, NoQuery]) -> commands.Command[Json]:
    """Read the beginning of an authentication; nothing is kept, so that anybody's page may ask."""
    card = plain(wire.ThreeDCard(cardBin=call.body.card.cardBin, paymentToken=call.body.card.paymentToken))
    seed = f"{call.principal.key_id} {call.now.isoformat()} {sorted(card.items())}"
    return commands.Give(
        {"id": str(uuid5(NAMESPACE_URL, seed)), "accountId": call.body.accountId, "card": card}
    )


def write_jwt(found: Json, call: AnyCall) -> Answer:
    """Answer the fingerprint's id and a token that says nothing."""

    def part(value: Json) -> str:
        return _pack(value).rstrip("=").replace("+", "-").replace("/", "_")

    head, payload = part({"alg": "none", "typ": "JWT"}), part({"jti": found["id"], "iss": "farebox"})
    card = present(cardBin=found["card"].get("cardBin"))
    return Answer(
        {
            "id": found["id"],
            "deviceFingerprintingId": found["id"],
            "jwt": f"{head}.{payload}.",
            "card": card,
        }
    )


def read_log(call: Call[wire.LogIn, NoQuery]) -> commands.Command[None]:
    """Read what a client wants to have noted; a stranger's text is not."""
    return commands.Give(None)


def write_log(result: None, call: AnyCall) -> Answer:
    """Answer that it was read."""
    return Answer({"status": "OK"})


def read_authentication_2(call: Call[wire.ThreeDSIn, NoQuery]) -> commands.Command[Document]:
    """Read an authentication to make."""
    body = call.body
    ref, amount = reference(body.merchantRefNum), _check_money(body)
    if body.deviceChannel != "3RI" and body.deviceFingerprintingId is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="deviceFingerprintingId")

    def create(summary: InstrumentSummary, holder: str | None) -> commands.Command[Document]:
        result = _OUTCOMES.get(_place(summary), "Y")
        if body.requestorChallengePreference == "CHALLENGE_MANDATED" and result == "Y":
            result = "C"
        echo = {
            name: plain(getattr(body, name))
            for name in body.__struct_fields__
            if name not in {"card", "merchantRefNum", "amount"} and getattr(body, name) is not None
        }
        card = _card(summary, holder)
        card.pop("cardType")
        facts: Json = {
            **echo,
            "merchantRefNum": ref,
            "amount": amount,
            "card": card,
            "threeDEnrollment": "Y",
            "threeDSecureVersion": "2.1.0",
            **_result(card["type"], result, f"{ref} {call.now.isoformat()}"),
        }
        return commands.CreateDocument(AUTHENTICATION_2, facts, state=WAITING if result == "C" else DONE)

    return _summary(body.card, create)


def _result(type_: str, result: str, seed: str) -> Json:
    """Give what belongs to a result; `C` is a challenge that has not been answered."""
    found: Json = {"threeDResult": result}
    if result != "C":
        found["eci"] = _eci(type_, result)
    if result in {"Y", "A"}:
        found["cavv"] = _cavv(seed)
    transaction = str(uuid5(NAMESPACE_URL, f"ds {seed}"))
    return {
        **found,
        "directoryServerTransactionId": transaction,
        "threeDSecureServerTransactionId": str(uuid5(NAMESPACE_URL, f"server {seed}")),
    }


def authentication_2_body(document: Document, call: AnyCall) -> Json:
    """Show an authentication."""
    facts, id_ = document.facts, uuid_of(document.id)
    result = facts.get("threeDResult")
    status = "PENDING" if result == "C" else "FAILED" if result in {"N", "R"} else "COMPLETED"
    body: Json = {
        "id": id_,
        "txnTime": instant(document.created_at),
        "status": status,
        **dict(facts),
    }
    if document.state == WAITING:
        payload = _pack(
            {
                "id": id_,
                "amount": facts.get("amount"),
                "currency": facts.get("currency"),
                "notify": facts.get("merchantUrl"),
                **_shown_card(facts),
            }
        )
        body["acsUrl"] = f"{call.base_url}/threedsecure/v2/acs"
        body["payload"] = payload
        body["sdkChallengePayload"] = _pack(
            {
                "id": id_,
                "accountId": call.path["account"],
                "transactionId": facts.get("threeDSecureServerTransactionId"),
                "acsUrl": body["acsUrl"],
                "payload": payload,
                "threeDSecureVersion": facts.get("threeDSecureVersion"),
            }
        )
    return body


def write_authentication_2(document: Document, call: AnyCall) -> Answer:
    """Answer an authentication."""
    return Answer(authentication_2_body(document, call))


read_authentication_2_lookup = _document(AUTHENTICATION_2)


def read_finalize(call: Call[wire.FinalizeIn, NoQuery]) -> commands.AnswerDocument:
    """Read what the access control server answered; a browser's key may bring it, once."""
    answer = _unpack(call.body.payload, "payload")
    result = answer.get("result")
    if result not in RESULTS or answer.get("id") != call.path["id"]:
        raise refusal("5068", "payload", "does not belong to this authentication")
    type_ = str(answer.get("card", ""))[:2]
    facts = {
        **_result(type_, result, call.path["id"]),
        "signatureStatus": "Y" if result in {"Y", "A"} else "N",
    }
    return commands.AnswerDocument(
        AUTHENTICATION_2,
        DocumentId(our_id("doc", call.path["id"])),
        waits_in=WAITING,
        state=DONE,
        facts=facts,
    )


def write_finalized(document: Document, call: AnyCall) -> Answer:
    """Answer how it ended."""
    return Answer({"status": authentication_2_body(document, call)["status"]})


# --- the access control server ---------------------------------------------------------------------


def read_acs(call: Call[wire.AcsIn, NoQuery]) -> commands.Command[Json]:
    """Read what a browser brings to the issuer."""
    body = call.body
    packed = body.PaReq or body.creq or body.payload
    if packed is None:
        raise InvalidRequest(ErrorCode.PARAMETER_MISSING, param="PaReq")
    asked = _unpack(packed, "PaReq")
    where = body.TermUrl if body.PaReq is not None else asked.get("notify")
    if not isinstance(where, str) or urlsplit(where).scheme not in {"http", "https"}:
        raise refusal("5068", "TermUrl", "must be an address")
    return commands.Give(
        {
            "asked": asked,
            "where": where,
            "field": "PaRes" if body.PaReq is not None else "cres",
            "data": body.MD if body.PaReq is not None else body.threeDSSessionData,
        }
    )


_LABELS = {
    "Y": "Authenticate",
    "A": "Attempt only",
    "N": "Fail",
    "U": "Unavailable",
}


def write_acs(found: Json, call: AnyCall) -> Answer:
    """Show the issuer's page: one form for each way it can end."""
    asked = found["asked"]
    answers = [
        {
            "label": _LABELS[result],
            "value": _pack({"id": asked.get("id"), "card": asked.get("card"), "result": result}),
        }
        for result in RESULTS
    ]
    values = {
        "card": asked.get("card", ""),
        "amount": asked.get("amount", ""),
        "currency": asked.get("currency", ""),
        "action": found["where"],
        "field": found["field"],
        "data_field": "MD" if found["field"] == "PaRes" else "threeDSSessionData",
        "data": found["data"],
        "answers": answers,
    }
    return Answer(page=PageView("challenge", values))
