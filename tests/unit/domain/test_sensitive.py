"""`Sensitive` and its one door."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from string import Template

import msgspec
import pytest

from farebox.domain.reveal import reveal
from farebox.domain.sensitive import Sensitive

SECRET = "4242424242424242"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        ascii,
        lambda value: f"{value}",
        lambda value: f"{value!r:*^80}",
        lambda value: f"{value:>40}",
        lambda value: "%s %r" % (value, value),  # noqa: UP031  # the old operator is what is tested
        "{0} {0!s}".format,
        lambda value: Template("$value").substitute(value=value),
        lambda value: str([value, {"key": value}, (value,)]),
        lambda value: str(ValueError(value)),
    ],
)
def test_no_way_of_showing_gives_the_value(show: Callable[[object], str]) -> None:
    """Promise 2: every ordinary way of making text shows that there is a secret, not which."""
    text = show(Sensitive(SECRET))
    assert "Sensitive(…)" in text or r"Sensitive(\u2026)" in text
    assert "4242" not in text


def test_the_length_is_not_shown() -> None:
    """All secrets look the same."""
    assert repr(Sensitive("1")) == repr(Sensitive(SECRET))
    assert f"{Sensitive('1'):>90}" == f"{Sensitive(SECRET)}"


def test_logging_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    """SEC-19: an argument of a log call is formatted like anything else."""
    logging.getLogger("test").error("%s", Sensitive(SECRET), extra={"card": Sensitive(SECRET)})
    assert "4242" not in caplog.text
    assert "Sensitive(…)" in caplog.text


@pytest.mark.parametrize(
    "leave",
    [
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        json.dumps,
        hash,
        msgspec.json.encode,
        msgspec.msgpack.encode,
        msgspec.to_builtins,
        bytes,
        int,
        iter,
        len,
        lambda value: {value: 1},
        lambda value: value + "",
        vars,
    ],
)
def test_no_way_of_encoding_works(leave: Callable[[object], object]) -> None:
    """Promise 2: what would carry the value out of the process refuses, and does not quote it."""
    with pytest.raises(TypeError) as caught:
        leave(Sensitive(SECRET))
    assert "4242" not in str(caught.value)


def test_reveal_is_the_way_in() -> None:
    """The door opens; without it nothing could be paid."""
    assert reveal(Sensitive(SECRET)) == SECRET


def test_equality_is_between_secrets_only() -> None:
    """A plain string is never equal, so nobody compares by unwrapping."""
    assert Sensitive(SECRET) == Sensitive(SECRET)
    assert Sensitive(SECRET) != Sensitive("4242424242424241")
    assert Sensitive("é") == Sensitive("é")
    assert (Sensitive(SECRET) == SECRET) is False


def test_truth_tells_presence() -> None:
    """An empty form field is no secret."""
    assert Sensitive("0")
    assert not Sensitive("")
