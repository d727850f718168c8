"""What the vault seals opens where it belongs, with what it needs, while it lives, and nowhere else."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.adapters.crypto.conftest import LIVE, OTHER, TENANT, Place

from farebox.adapters.crypto.ring import AHEAD_MINUTES
from farebox.domain.bank_accounts import parse_ach, parse_bacs, parse_pad, parse_sepa
from farebox.domain.cards import Card, parse_cvc, parse_expiry, parse_pan
from farebox.domain.errors import ConfigurationError, NotFound
from farebox.domain.ids import OperationId, SingleUseTokenId, StoredTokenId
from farebox.domain.instruments import BillingAddress, PayerDetails
from farebox.domain.sensitive import Sensitive
from farebox.domain.tokens import TokenString
from farebox.ports.secrets import TokenClass

PAN = parse_pan(Sensitive("4242424242424242"))
CARD = Card(PAN, parse_expiry(12, 2034), "Ada Lovelace", parse_cvc(Sensitive("123"), brand="visa"))
DETAILS = PayerDetails("Ada Lovelace", BillingAddress(line1="1 Main", postal_code="62701", country="US"))
TOKEN, TOKEN_ID = TokenString("tok_" + "a" * 52), SingleUseTokenId("tok_1")
ACCOUNTS = [
    parse_ach(routing_number="110000000", account_number=Sensitive("000123456789"), holder_name="Ada"),
    parse_pad(institution_number="001", transit_number="12345", account_number=Sensitive("1234567")),
    parse_bacs(sort_code="200000", account_number=Sensitive("55779911"), mandate_reference="MANDATE-1"),
    parse_sepa(iban=Sensitive("DE89370400440532013000"), mandate_reference="M-1"),
]


def seal(place: Place, instrument=CARD, tenant=TENANT):
    return place.crypto.vault.seal_single_use(
        instrument,
        DETAILS,
        tenant=tenant,
        token_id=TOKEN_ID,
        token=TOKEN,
        real_expires_at=place.clock.now() + timedelta(minutes=10),
    )


@pytest.mark.parametrize("instrument", [CARD, *ACCOUNTS])
async def test_what_is_sealed_opens(place: Place, instrument) -> None:
    """Every kind of instrument comes back as it went in, from both classes."""
    vault = place.crypto.vault
    sealed = seal(place, instrument)
    assert vault.open_single_use(sealed, tenant=TENANT, token_id=TOKEN_ID, token=TOKEN) == (
        instrument,
        DETAILS,
    )
    assert vault.open_single_use_details(sealed, tenant=TENANT, token_id=TOKEN_ID, token=TOKEN) == DETAILS
    kept = vault.seal_reusable(instrument, DETAILS, tenant=TENANT, token_id=StoredTokenId("pt_1"))
    opened = vault.open_reusable(kept, tenant=TENANT, token_id=StoredTokenId("pt_1"))
    assert opened == (instrument.without_cvc() if instrument is CARD else instrument)
    assert vault.open_reusable_details(kept, tenant=TENANT, token_id=StoredTokenId("pt_1")) == DETAILS


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"tenant": OTHER},
        {"tenant": LIVE},
        {"token_id": SingleUseTokenId("tok_2")},
        {"token": TokenString("tok_x")},
    ],
)
async def test_a_single_use_payload_opens_nowhere_else(place: Place, elsewhere) -> None:
    """SEC-08: not for another tenant, mode or row, and not without the token string."""
    sealed = seal(place)
    where = {"tenant": TENANT, "token_id": TOKEN_ID, "token": TOKEN, **elsewhere}
    for open_ in (place.crypto.vault.open_single_use, place.crypto.vault.open_single_use_details):
        with pytest.raises(NotFound):
            open_(sealed, **where)


async def test_parts_cannot_stand_in_for_each_other(place: Place) -> None:
    """The purpose is in the associated data: details never open as a payload, nor a CVC as details."""
    sealed = seal(place)
    mixed = (
        replace(sealed, payload=sealed.details),
        replace(sealed, cvc=sealed.payload),
        replace(sealed, bucket_minute=sealed.bucket_minute + 1),
    )
    for wrong in mixed:
        with pytest.raises(NotFound):
            place.crypto.vault.open_single_use(wrong, tenant=TENANT, token_id=TOKEN_ID, token=TOKEN)


@pytest.mark.parametrize(
    "elsewhere", [{"tenant": OTHER}, {"tenant": LIVE}, {"token_id": StoredTokenId("pt_2")}]
)
async def test_a_stored_instrument_opens_nowhere_else(place: Place, elsewhere) -> None:
    """SEC-08, for the reusable class."""
    vault = place.crypto.vault
    kept = vault.seal_reusable(CARD, DETAILS, tenant=TENANT, token_id=StoredTokenId("pt_1"))
    with pytest.raises(NotFound):
        vault.open_reusable(kept, **{"tenant": TENANT, "token_id": StoredTokenId("pt_1"), **elsewhere})


async def test_a_code_never_enters_the_reusable_class(place: Place) -> None:
    """SEC-02, I14: the CVC is in no byte of what is kept, and the fresh one is only passed through."""
    vault = place.crypto.vault
    kept = vault.seal_reusable(CARD, DETAILS, tenant=TENANT, token_id=StoredTokenId("pt_1"))
    opened = vault.open_reusable(kept, tenant=TENANT, token_id=StoredTokenId("pt_1"), cvc=CARD.cvc)
    assert opened == CARD
    assert vault.open_reusable(kept, tenant=TENANT, token_id=StoredTokenId("pt_1")) == CARD.without_cvc()


async def test_a_tokens_string_opens_only_in_its_row(place: Place) -> None:
    """A string that is shown again is sealed apart from its card, and only where it was asked to be kept."""
    vault, where = place.crypto.vault, {"tenant": TENANT, "token_id": StoredTokenId("rt_1")}
    kept = vault.seal_reusable(CARD, DETAILS, **where, string=TOKEN)
    assert kept.string is not None
    assert TOKEN.encode() not in kept.string
    assert vault.open_token_string(kept, **where) == TOKEN
    for elsewhere in ({"tenant": OTHER}, {"token_id": StoredTokenId("rt_2")}):
        with pytest.raises(NotFound):
            vault.open_token_string(kept, **{**where, **elsewhere})
    with pytest.raises(NotFound):
        vault.open_token_string(replace(kept, string=kept.details), **where)
    assert vault.open_token_string(vault.seal_reusable(CARD, DETAILS, **where), **where) is None


async def test_after_its_minute_a_payload_opens_for_nobody(place: Place) -> None:
    """90 s after a token's end nothing opens it: the key is gone from memory and disk."""
    sealed = seal(place)
    vault, where = place.crypto.vault, {"tenant": TENANT, "token_id": TOKEN_ID, "token": TOKEN}
    secrets, answer = place.crypto.secrets, b"the answer of the mint"
    kept_answer = secrets.seal_answer(
        answer, tenant=TENANT, idempotency_key="k", bucket_minute=sealed.bucket_minute
    )
    place.clock.instant += timedelta(minutes=10)
    await place.crypto.maintain()
    assert vault.open_single_use(sealed, **where) == (
        CARD,
        DETAILS,
    )  # the control: its last minute is not over yet
    ring_file = place.directory / "ring" / f"bucket-{sealed.bucket_minute}.key"
    assert ring_file.exists()
    place.clock.instant += timedelta(seconds=90)
    await place.crypto.maintain()
    assert not ring_file.exists()
    for opened in (place.crypto, await place.open()):
        with pytest.raises(NotFound):
            opened.vault.open_single_use(sealed, **where)
        with pytest.raises(NotFound):
            opened.vault.open_single_use_details(sealed, **where)
        assert (
            opened.secrets.open_answer(
                kept_answer, tenant=TENANT, idempotency_key="k", bucket_minute=sealed.bucket_minute
            )
            is None
        )


async def test_a_restart_keeps_what_lives(place: Place) -> None:
    """Nothing acknowledged is lost with the process: the ring is on disk before a token is given."""
    sealed = seal(place)
    again = await place.open()
    assert again.vault.open_single_use(sealed, tenant=TENANT, token_id=TOKEN_ID, token=TOKEN) == (
        CARD,
        DETAILS,
    )


async def test_a_destruction_that_was_interrupted_is_finished(place: Place) -> None:
    """A crash between overwriting and unlinking leaves a file that the next start removes."""
    minute = int(place.clock.now().timestamp() // 60) - 5
    left = place.directory / "ring" / f"bucket-{minute}.key"
    left.write_bytes(os.urandom(105))
    await place.open()
    assert not left.exists()


async def test_a_ring_of_another_vault_is_not_destroyed(place: Place) -> None:
    """A living key that does not open stops the start: destroying it would end somebody's tokens."""
    victim = next((place.directory / "ring").glob("bucket-*.key"))
    victim.write_bytes(os.urandom(105))
    with pytest.raises(ConfigurationError):
        await place.open()
    assert victim.exists()


async def test_two_processes_never_overwrite_a_key(place: Place) -> None:
    """The loser of a race to make a bucket takes the winner's key, so tokens of both open in both."""
    other = await place.open()
    place.clock.instant += timedelta(minutes=AHEAD_MINUTES - 2)
    await place.crypto.maintain()
    sealed = seal(place)
    await other.maintain()
    assert other.vault.open_single_use(sealed, tenant=TENANT, token_id=TOKEN_ID, token=TOKEN) == (
        CARD,
        DETAILS,
    )


async def test_the_ring_stays_out_of_backups(place: Place) -> None:
    """Not in the data directory, tagged for backup programs, readable by its owner alone."""
    ring = place.directory / "ring"
    assert (ring / "CACHEDIR.TAG").read_bytes().startswith(b"Signature: 8a477f597d28d172789f06886806bc55")
    assert ring.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in ring.glob("*.key"))


async def test_rotation_moves_record_keys_and_nothing_else(place: Place) -> None:
    """§3.4: the newest key seals, the older ones open; a re-wrap changes the wrap alone."""
    crypto = place.crypto
    kept = crypto.vault.seal_reusable(CARD, DETAILS, tenant=TENANT, token_id=StoredTokenId("pt_1"))
    newest = await crypto.keys.rotate(TENANT)
    assert (
        crypto.vault.open_reusable(kept, tenant=TENANT, token_id=StoredTokenId("pt_1")) == CARD.without_cvc()
    )
    wrapped = crypto.vault.rewrap(kept.wrapped_key, tenant=TENANT, token_id=StoredTokenId("pt_1"))
    assert wrapped[1:9] == newest
    assert crypto.vault.rewrap(wrapped, tenant=TENANT, token_id=StoredTokenId("pt_1")) == wrapped
    moved = replace(kept, wrapped_key=wrapped)
    assert (
        crypto.vault.open_reusable(moved, tenant=TENANT, token_id=StoredTokenId("pt_1")) == CARD.without_cvc()
    )


async def test_an_envelope_opens_until_its_day_is_closed(place: Place) -> None:
    """The operation class: number and expiry, never a CVC, under the day's key."""
    day = int(place.clock.now().timestamp() // 86400)
    where = {"tenant": TENANT, "operation_id": OperationId("op_1"), "day": day}
    sealed = place.crypto.vault.seal_envelope(CARD.without_cvc(), **where)
    assert place.crypto.vault.open_envelope(sealed, **where) == CARD.without_cvc()
    with pytest.raises(NotFound):
        place.crypto.vault.open_envelope(sealed, **{**where, "operation_id": OperationId("op_2")})
    place.clock.instant += timedelta(days=1)
    await place.crypto.maintain()
    with pytest.raises(NotFound):
        place.crypto.vault.open_envelope(sealed, **where)


async def test_fingerprints_are_equal_for_equal_numbers_of_one_tenant(place: Place) -> None:
    """SEC-05: keyed, whole number, one key a tenant."""
    vault = place.crypto.vault
    again = Card(parse_pan(Sensitive("4242 4242 4242 4242")), parse_expiry(1, 2030))
    other = Card(parse_pan(Sensitive("5555555555554444")), parse_expiry(12, 2034))
    assert vault.fingerprint(CARD, tenant=TENANT) == vault.fingerprint(again, tenant=TENANT)
    assert vault.fingerprint(CARD, tenant=TENANT) != vault.fingerprint(other, tenant=TENANT)
    assert vault.fingerprint(CARD, tenant=TENANT) != vault.fingerprint(CARD, tenant=OTHER)
    assert vault.fingerprint(CARD, tenant=TENANT) != vault.fingerprint(CARD, tenant=LIVE)


async def test_digests_differ_by_class_owner_and_mode(place: Place) -> None:
    """§3.5: another tenant's token, or a token of another class, is simply another digest."""
    secrets = place.crypto.secrets
    digests = {
        secrets.token_mac(TOKEN, token_class, tenant)
        for token_class in TokenClass
        for tenant in (TENANT, OTHER, LIVE)
    }
    assert len(digests) == 9
    assert secrets.idempotency_mac("k", "a", TENANT) != secrets.idempotency_mac("k", "b", TENANT)


async def test_an_answer_opens_with_its_key_alone(place: Place) -> None:
    """§3.2: the idempotency key, of which only a digest is stored, opens the stored answer."""
    secrets = place.crypto.secrets
    sealed = secrets.seal_answer(b"answer", tenant=TENANT, idempotency_key="one", bucket_minute=None)
    where = {"tenant": TENANT, "bucket_minute": None}
    assert secrets.open_answer(sealed, idempotency_key="one", **where) == b"answer"
    assert secrets.open_answer(sealed, idempotency_key="two", **where) is None
    assert secrets.open_answer(sealed, idempotency_key="one", **{**where, "tenant": OTHER}) is None
