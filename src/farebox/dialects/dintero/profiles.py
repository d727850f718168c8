"""Session profiles: named configurations that sessions are made from; `default` is on every account."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farebox.dialects.dialect import Answer, Call
from farebox.dialects.dintero import wire
from farebox.dialects.dintero.configuration import DEFAULT, shown
from farebox.dialects.dintero.lists import limit_of
from farebox.dialects.dintero.names import instant, parse_public_id, public_id
from farebox.dialects.dintero.reading import invalid, object_of, text_of, without_empty
from farebox.dialects.dintero.transactions import CREATED_BY, account_of
from farebox.domain.documents import Document
from farebox.domain.facts import Facts
from farebox.ports.storage import Page, PageRequest
from farebox.services import commands

KIND = "session_profile"
DEFAULT_NAME = "default"
_NAME_LENGTH_MAX = 200
AnyCall = Call[Any, Any]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile; without a document it is the account's own `default`."""

    id: str
    facts: Facts
    document: Document | None = None


_DEFAULT_PROFILE = Profile(DEFAULT_NAME, {"description": "Default profile", "configuration": DEFAULT})


def find(profile_id: str, account_id: str) -> commands.Command[Profile | None]:
    """Look for a profile by its name or its generated id."""

    def found(document: Document | None) -> commands.Command[Profile | None]:
        if document is not None:
            return commands.Give(Profile(profile_id, document.facts, document))
        return commands.Give(_DEFAULT_PROFILE if profile_id == DEFAULT_NAME else None)

    generated = parse_public_id(profile_id, account_id, "doc")
    get = (
        commands.GetDocument(KIND, generated)
        if generated is not None
        else commands.GetDocument(KIND, profile_id, by_name=True)
    )
    return commands.Then(commands.Attempt(get), found)


def _existing(call: AnyCall, then: Callable[[Profile], commands.Command[Any]]) -> commands.Command[Any]:
    """Look for the profile of the path, and go on with it.

    Raises:
        NotFound: `document_not_found`.
    """
    profile_id = call.path["profile_id"]

    def found(profile: Profile | None) -> commands.Command[Any]:
        if profile is None:
            return commands.GetDocument(KIND, profile_id, by_name=True)
        return then(profile)

    return commands.Then(find(profile_id, account_of(call)), found)


def _facts(body: wire.ProfileIn, call: AnyCall) -> Facts:
    return without_empty(
        {
            "description": body.description,
            "configuration": dict(wire.members(body.configuration)),
            "url": dict(wire.members(body.url)),
            "merchant": dict(wire.members(body.merchant)),
            "checkboxes": list(body.checkboxes or ()),
            CREATED_BY: call.principal.attribute("client_id"),
        }
    )


def read_profile(call: Call[wire.Ignored, wire.PageQuery]) -> commands.Command[Profile]:
    """Read which profile to show."""
    return _existing(call, commands.Give)


def read_creation(call: Call[wire.ProfileIn, wire.PageQuery]) -> commands.Command[Document]:
    """Read a profile to keep."""
    name = call.body.profile_id
    if name is not None and not 0 < len(name) <= _NAME_LENGTH_MAX:
        raise invalid("profile_id", f"must have from 1 to {_NAME_LENGTH_MAX} characters")
    return commands.CreateDocument(KIND, _facts(call.body, call), name=name)


def read_replacement(call: Call[wire.ProfileIn, wire.PageQuery]) -> commands.Command[Document]:
    """Read what a profile becomes; the account's own default becomes a document by it."""
    facts = _facts(call.body, call)

    def replace(profile: Profile) -> commands.Command[Document]:
        document = profile.document
        if document is None:
            return commands.CreateDocument(KIND, facts, name=DEFAULT_NAME)
        return commands.UpdateDocument(KIND, document.id, document.version, facts)

    return _existing(call, replace)


def read_deletion(call: Call[wire.Ignored, wire.PageQuery]) -> commands.Command[Profile]:
    """Read which profile to delete; `default` is as on the first day again."""

    def delete(profile: Profile) -> commands.Command[Profile]:
        document = profile.document
        if document is None:
            raise invalid("profile_id", "names the account's own default, which stays")
        return commands.Then(
            commands.DeleteDocument(KIND, document.id),
            lambda deleted: commands.Give(Profile(profile.id, profile.facts, deleted)),
        )

    return _existing(call, delete)


def read_list(call: Call[wire.Ignored, wire.PageQuery]) -> commands.Command[list[Profile]]:
    """Read which profiles to list; the account's own default is the last one."""
    query, account_id = call.query, account_of(call)
    limit, after = limit_of(query.limit), None
    if query.starting_after is not None:
        after = parse_public_id(query.starting_after, account_id, "doc")

    def give(page: Page[Document]) -> commands.Command[list[Profile]]:
        found = [Profile(_id(one, account_id), one.facts, one) for one in page.items]
        if page.has_more or len(found) >= limit or query.starting_after == DEFAULT_NAME:
            return commands.Give(found)
        return commands.Then(
            find(DEFAULT_NAME, account_id),
            lambda default: commands.Give(
                [*found, default] if default is not None and default.document is None else found
            ),
        )

    return commands.Then(commands.ListDocuments(KIND, PageRequest(limit, after=after)), give)


def _id(document: Document, account_id: str) -> str:
    return document.name or public_id(account_id, document.id)


def profile_out(profile: Profile, account_id: str) -> wire.ProfileOut:
    """Show a profile; its configuration has its discriminators."""
    facts, document = profile.facts, profile.document
    id_ = _id(document, account_id) if document and document.deleted_at is None else profile.id
    return wire.ProfileOut(
        id=id_,
        profile_id=id_,
        description=text_of(facts, "description") or "",
        configuration=shown(object_of(facts, "configuration")),
        url=facts.get("url"),
        merchant=facts.get("merchant"),
        checkboxes=facts.get("checkboxes"),
        created_at=instant(document.created_at) if document else None,
        created_by=text_of(facts, CREATED_BY),
        updated_at=instant(document.updated_at) if document else None,
        deleted_at=instant(document.deleted_at) if document and document.deleted_at else None,
    )


def write_profile(profile: Profile, call: AnyCall) -> wire.ProfileOut:
    """Show a profile."""
    return profile_out(profile, account_of(call))


def write_document(document: Document, call: AnyCall) -> wire.ProfileOut:
    """Show a profile that was just written."""
    account_id = account_of(call)
    return profile_out(Profile(_id(document, account_id), document.facts, document), account_id)


def write_list(found: list[Profile], call: AnyCall) -> Answer:
    """Show a list: a bare array."""
    return Answer([profile_out(one, account_of(call)) for one in found])
