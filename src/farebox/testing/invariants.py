"""What must be true when everything has come to rest: I1 to I14, and our books against the acquirer's.

Every check reads the database by its own SQL and the acquirer's books line by line; none asks the code that
it judges. A check gives sentences that begin with the invariant they found broken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from farebox.domain.errors import ErrorCode
from farebox.testing.network import Wire
from farebox.testing.shoppers import NUMBERS, Told
from farebox.testing.storage import Database

Entry = Mapping[str, str | int]

_TERMINAL_TOKENS = ("spent", "expired", "revoked")
_TERMINAL_OPERATIONS = ("approved", "declined", "failed", "reversed")
_OPENING = ("authorization", "purchase", "credit")
_SUMS = ("authorized", "captured", "refunded", "voided")
_TOKEN_EVENTS = {
    "reserved": "single_use_token.reserved",
    "spent": "single_use_token.spent",
    "minted": "single_use_token.released",
    "expired": "single_use_token.expired",
    "revoked": "single_use_token.revoked",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is left of a run."""

    database: Database
    books: Sequence[Entry]
    """The acquirer's, of every merchant."""
    wire: Wire
    told: Told


def violations(evidence: Evidence) -> list[str]:
    """Check everything; give what is broken."""
    return [broken for check in CHECKS for broken in check(evidence)]


def one_live_operation(evidence: Evidence) -> Iterable[str]:
    """I1: a token has one live operation at most."""
    for token_id, count in evidence.database.rows(
        "SELECT token_id, COUNT(*) FROM operation WHERE consumes_token = 1 AND state <> 'failed'"
        " GROUP BY token_id HAVING COUNT(*) > 1"
    ):
        yield f"I1: {token_id} has {count} live operations"


def one_authorization(evidence: Evidence) -> Iterable[str]:
    """I2: the acquirer approved one opening per token, ever; a reversal later does not excuse a second."""
    rows = evidence.database.rows(
        "SELECT processor_reference, token_id FROM operation WHERE token_id IS NOT NULL"
    )
    owners: dict[str, str] = dict(rows)
    held: Counter[str] = Counter()
    for entry in evidence.books:
        if entry["kind"] in _OPENING and entry["state"] in {"approved", "reversed", "pending"}:
            reference = _base(entry)
            held[owners.get(reference, reference)] += 1
    for owner, count in held.items():
        if count > 1:
            yield f"I2: {count} authorizations for {owner}"
    for operation_id in evidence.wire.repeated():
        yield f"I2: {operation_id} was sent more than once"


def acknowledged_is_durable(evidence: Evidence) -> Iterable[str]:
    """I3: what a merchant was told is still so."""
    states = dict(evidence.database.rows("SELECT id, state FROM operation"))
    for operation_id, state in evidence.told.states:
        now = states.get(operation_id)
        if now is None or (state in _TERMINAL_OPERATIONS and now != state):
            yield f"I3: {operation_id} was told to be {state} and is {now}"


def spent_means_settled(evidence: Evidence) -> Iterable[str]:
    """I4: spent if and only if an operation that consumes it got a final answer, or it was stored."""
    stored = 0
    for token_id, state, settled, operation_id in evidence.database.rows(
        "SELECT id, state, (SELECT COUNT(*) FROM operation o WHERE o.token_id = t.id AND o.consumes_token = 1"
        " AND o.state IN ('approved', 'declined', 'reversed')),"
        " (SELECT o.id FROM operation o WHERE o.id = t.operation_id) FROM single_use_token t"
    ):
        if state == "spent" and operation_id is None and not settled:
            stored += 1
        elif (state == "spent") != (settled > 0) or state == "reserved":
            yield f"I4: {token_id} is {state} with {settled} settled operations"
    ((kept,),) = evidence.database.rows(
        "SELECT COUNT(*) FROM stored_token WHERE id NOT IN"
        " (SELECT saved_token_id FROM payment WHERE saved_token_id IS NOT NULL)"
    )
    if stored != kept:
        yield f"I4: {stored} tokens were spent to be stored, and {kept} credentials are"


def no_reserve_after_expiry(evidence: Evidence) -> Iterable[str]:
    """I5: by the database's clock and the merchant's offset, as an observer beneath the code saw it."""
    for (token_id,) in evidence.database.rows(
        "SELECT id FROM moved WHERE kind = 'token' AND after = 'reserved' AND at + offset >= expires_at"
    ):
        yield f"I5: {token_id} was reserved after its expiry"


def terminal_is_terminal(evidence: Evidence) -> Iterable[str]:
    """I6: nothing moves out of a terminal state, and at rest every operation is in one."""
    for kind, object_id, before, after in evidence.database.rows("SELECT kind, id, before, after FROM moved"):
        terminal = _TERMINAL_TOKENS if kind == "token" else _TERMINAL_OPERATIONS
        if before in terminal:
            yield f"I6: {object_id} moved from {before} to {after}"
    for operation_id, state in evidence.database.rows("SELECT id, state FROM operation"):
        if state not in _TERMINAL_OPERATIONS:
            yield f"I6: {operation_id} is {state} at rest"


def amounts_add_up(evidence: Evidence) -> Iterable[str]:
    """I7: amounts follow from the operations, stay within bounds, and at rest nothing is held."""
    moved: dict[str, Counter[str]] = defaultdict(Counter)
    for payment_id, kind, target_kind, approved_minor in evidence.database.rows(
        "SELECT payment_id, kind, target_kind, approved_minor FROM operation WHERE state = 'approved'"
    ):
        _add(moved[payment_id], kind, target_kind, approved_minor)
    for row in evidence.database.rows(
        "SELECT id, authorized_minor, captured_minor, refunded_minor, voided_minor,"
        " capturing_minor + refunding_minor + voiding_minor FROM payment WHERE kind <> 'verification'"
    ):
        payment_id, authorized, captured, refunded, voided, held = row
        found = tuple(moved[payment_id][name] for name in _SUMS)
        if held:
            yield f"I7: {payment_id} holds {held} at rest"
        if (authorized, captured, refunded, voided) != found:
            yield f"I7: {payment_id} says {(authorized, captured, refunded, voided)}, its operations {found}"
        if captured + voided > authorized or refunded > captured:
            yield f"I7: {payment_id} exceeds what there is"


def amounts_agree(evidence: Evidence) -> Iterable[str]:
    """I7: what a payment captured, refunded and voided is what the acquirer says, and within its bounds."""
    theirs: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in evidence.books:
        if entry["state"] == "approved":
            target_kind = str(entry.get("target_kind"))
            _add(theirs[str(entry["root"])], str(entry["kind"]), target_kind, int(entry["approved_minor"]))
    for root, sums in theirs.items():
        if sums["captured"] + sums["voided"] > sums["authorized"] or sums["refunded"] > sums["captured"]:
            yield f"I7: {root} exceeds what there is at the acquirer"
    for row in evidence.database.rows(
        "SELECT p.id, o.processor_reference, p.authorized_minor, p.captured_minor, p.refunded_minor,"
        " p.voided_minor FROM payment p JOIN operation o ON o.payment_id = p.id AND o.target_id IS NULL"
        " WHERE p.kind <> 'verification' AND o.state = 'approved'"
    ):
        payment_id, reference, *ours = row
        found = [theirs[reference][name] for name in _SUMS]
        if ours != found:
            yield f"I7: {payment_id} says {ours}, the acquirer {found}"


def books_agree(evidence: Evidence) -> Iterable[str]:
    """I8: approved here is approved there; closed as not paid holds no money there; nothing is only there."""
    ours: dict[str, tuple[str, int]] = {}
    for reference, state, approved_minor in evidence.database.rows(
        "SELECT processor_reference, state, approved_minor FROM operation ORDER BY state = 'failed' DESC"
    ):
        ours[reference] = (state, approved_minor)
    for entry in evidence.books:
        state, approved_minor = ours.get(_base(entry), ("missing", 0))
        held = entry["state"] in {"approved", "pending"}
        if held and (state != "approved" or entry["reference"] != _base(entry)):
            yield f"I8: {entry['reference']} is {entry['state']} at the acquirer and {state} here"
        elif held and entry["approved_minor"] != approved_minor:
            yield f"I8: {entry['reference']} has another amount at the acquirer"
    there = {entry["reference"] for entry in evidence.books if entry["state"] == "approved"}
    for reference, (state, _) in ours.items():
        if state == "approved" and reference not in there:
            yield f"I8: {reference} is approved here and not at the acquirer"


def same_key_same_bytes(evidence: Evidence) -> Iterable[str]:
    """I9: whoever sends a key again gets the first answer, byte for byte, and never a wedged key."""
    for key, answers in evidence.told.answers.items():
        if len(answers) > 1:
            yield f"I9: {key} was answered in {len(answers)} ways"
    if evidence.told.refusals.get(ErrorCode.REFERENCE_ALREADY_USED):
        yield "I9: a retry met its own reference and was refused"


def one_event_per_transition(evidence: Evidence) -> Iterable[str]:
    """I10: the outbox tells exactly of the moves that the observer saw, and of every beginning."""
    seen: Counter[tuple[str, str]] = Counter()
    for kind, object_id, after in evidence.database.rows("SELECT kind, id, after FROM moved"):
        seen[object_id, _TOKEN_EVENTS[after] if kind == "token" else f"operation.{after}"] += 1
    for (operation_id,) in evidence.database.rows("SELECT id FROM operation"):
        seen[operation_id, "operation.submitted"] += 1
    for (token_id,) in evidence.database.rows("SELECT id FROM single_use_token"):
        seen[token_id, "single_use_token.minted"] += 1
    told: Counter[tuple[str, str]] = Counter()
    for object_id, type_ in evidence.database.rows(
        "SELECT object_id, type FROM event WHERE type <> 'operation.settled'"
        " AND (type LIKE 'operation.%' OR type LIKE 'single_use_token.%')"
    ):
        told[object_id, type_] += 1
    for (object_id, type_), count in sorted(((seen - told) + (told - seen)).items()):
        yield f"I10: {object_id} and its events disagree about {type_} ({count})"


def looks_change_nothing(evidence: Evidence) -> Iterable[str]:
    """I11: no token was ever reserved or spent by a verification."""
    for token_id, operation_id in evidence.database.rows(
        "SELECT t.id, o.id FROM single_use_token t JOIN operation o ON o.kind = 'verification' AND"
        " (o.id = t.operation_id OR EXISTS (SELECT 1 FROM event e WHERE e.object_id = t.id"
        "  AND e.type LIKE 'single_use_token.%' AND e.data ->> 'operation_id' = o.id))"
    ):
        yield f"I11: {token_id} was moved by the verification {operation_id}"


def nothing_crosses(evidence: Evidence) -> Iterable[str]:
    """I12: a stranger's thing is unknown, and what belongs together has one owner."""
    for crossed in evidence.told.crossed:
        yield f"I12: {crossed}"
    for (operation_id,) in evidence.database.rows(
        "SELECT o.id FROM operation o JOIN payment p ON p.id = o.payment_id"
        " LEFT JOIN single_use_token t ON t.id = o.token_id"
        " LEFT JOIN stored_token s ON s.id = o.stored_token_id"
        " WHERE p.merchant_id <> o.merchant_id OR COALESCE(t.merchant_id, o.merchant_id) <> o.merchant_id"
        " OR COALESCE(s.merchant_id, o.merchant_id) <> o.merchant_id"
    ):
        yield f"I12: {operation_id} touches what is another merchant's"
    for reference, merchant_id in evidence.database.rows(
        "SELECT processor_reference, merchant_id FROM operation"
    ):
        for entry in evidence.books:
            if _base(entry) == reference and entry["merchant_id"] != merchant_id:
                yield f"I12: {reference} is booked for another merchant"


def ended_tokens_are_empty(evidence: Evidence) -> Iterable[str]:
    """I13: a terminal token keeps nothing that could be opened."""
    for (token_id,) in evidence.database.rows(
        "SELECT id FROM single_use_token WHERE state IN ('spent', 'expired', 'revoked')"
        " AND (payload IS NOT NULL OR details IS NOT NULL OR cvc IS NOT NULL)"
    ):
        yield f"I13: {token_id} has ended and still can be opened"


def no_cvc_is_kept(evidence: Evidence) -> Iterable[str]:
    """I14: no stored credential has a code, one verification at most gets it, nothing is in clear."""
    with_cvc = {request.operation_id for request in evidence.wire.sent if request.has_cvc}
    seen: Counter[str] = Counter()
    for operation_id, kind, token_id, stored_token_id in evidence.database.rows(
        "SELECT id, kind, token_id, stored_token_id FROM operation"
    ):
        if operation_id in with_cvc and stored_token_id is not None:
            yield f"I14: {stored_token_id} was used with a security code that nobody typed"
        if operation_id in with_cvc and token_id is not None and kind == "verification":
            seen[token_id] += 1
    for token_id, count in seen.items():
        if count > 1:
            yield f"I14: the security code of {token_id} went to {count} verifications"
    image = evidence.database.image()
    if any(number.encode() in image for number in NUMBERS):
        yield "I14: a card number lies in the database in clear"


CHECKS: tuple[Callable[[Evidence], Iterable[str]], ...] = (
    one_live_operation,
    one_authorization,
    acknowledged_is_durable,
    spent_means_settled,
    no_reserve_after_expiry,
    terminal_is_terminal,
    amounts_add_up,
    amounts_agree,
    books_agree,
    same_key_same_bytes,
    one_event_per_transition,
    looks_change_nothing,
    nothing_crosses,
    ended_tokens_are_empty,
    no_cvc_is_kept,
)


def _base(entry: Entry) -> str:
    """Give the reference that we sent, without the mark of a repetition."""
    return str(entry["reference"]).partition("~")[0]


def _add(sums: Counter[str], kind: str, target_kind: str | None, amount_minor: int) -> None:
    """Add one approved operation to a payment's sums; the table of security design §4.8, written anew."""
    match kind, target_kind:
        case "authorization", _:
            sums["authorized"] += amount_minor
        case (("purchase" | "credit"), _):
            sums["authorized"] += amount_minor
            sums["captured"] += amount_minor
        case "capture", _:
            sums["captured"] += amount_minor
        case "increment", _:
            sums["authorized"] += amount_minor
            sums["captured"] += amount_minor if target_kind == "purchase" else 0
        case "refund", _:
            sums["refunded"] += amount_minor
        case "void", "authorization":
            sums["voided"] += amount_minor
        case "void", "capture":
            sums["captured"] -= amount_minor
        case "void", "refund":
            sums["refunded"] -= amount_minor
        case "void", _:
            sums["captured"] -= amount_minor
            sums["voided"] += amount_minor
        case _:
            return
