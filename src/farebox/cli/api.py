"""What commands share that speak with a running server over its native API."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from functools import wraps
from http.client import HTTPException
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import click

P = ParamSpec("P")
T = TypeVar("T")

KEY_VARIABLE = "FAREBOX_API_KEY"
_TIMEOUT_S = 30


def server_options(function: Callable[P, T]) -> Callable[P, T]:
    """Add the options by which a command finds a server and its key."""
    url = click.option(
        "--url",
        envvar="FAREBOX_URL",
        default="http://127.0.0.1:8080",
        show_default=True,
        help="The server's address (or FAREBOX_URL).",
    )
    key = click.option(
        "--api-key-file",
        type=click.Path(),
        help=f"File with a secret key; otherwise the key is taken from {KEY_VARIABLE}.",
    )
    return url(key(function))


class Api:
    """Asks one server as one merchant."""

    def __init__(self, url: str, api_key_file: str | None) -> None:
        """Find the key, which never stands on a command line."""
        self._url = url.rstrip("/")
        self._key = _key(api_key_file)
        if not self._url.startswith(("http://", "https://")):
            raise click.ClickException("--url wants an address that begins with http:// or https://.")

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Send a request and read its answer.

        Raises:
            click.ClickException: it was refused, or nobody answered.
        """
        request = Request(  # noqa: S310  # the scheme is checked above
            self._url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # as above
                return json.loads(answer.read() or b"null")
        except HTTPError as refusal:
            raise click.ClickException(f"{method} {path}: {_detail(refusal)}") from None
        except (URLError, OSError, HTTPException):
            raise click.ClickException(f"There is no answer from {self._url}.") from None


def api_of(main: Callable[..., T]) -> Callable[..., T]:
    """Give a command an `Api` in place of the options that find it."""

    @wraps(main)
    def command(*args: Any, url: str, api_key_file: str | None, **kwargs: Any) -> T:
        return main(Api(url, api_key_file), *args, **kwargs)

    return command


def _key(file: str | None) -> str:
    if file is not None:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise click.ClickException("The file with the key cannot be read.") from None
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        raise click.ClickException(f"Set {KEY_VARIABLE} to a secret key, or give --api-key-file.")
    return key


def _detail(refusal: HTTPError) -> str:
    try:
        problem: Any = json.loads(refusal.read())
        return f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError, TypeError, OSError):
        return f"status {refusal.code}"
