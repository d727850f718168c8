"""The key-encryption key in a PKCS#11 token: non-extractable, wrapping with AES key wrap.

Imported only when it is chosen; `python-pkcs11` is the extra `pkcs11`.

Source: PKCS#11 v2.40, CKM_AES_KEY_WRAP (RFC 3394); security design §3.2.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from farebox.adapters.crypto.kek import refuse
from farebox.domain.errors import ErrorCode, Unavailable


class Pkcs11Kek:
    """A key that never leaves its token."""

    algorithm = "AES-256-KW"
    created_at: datetime | None = None

    def __init__(self, pkcs11: Any, session: Any, key: Any, name: str) -> None:
        """Take an open session and the key's handle."""
        self._pkcs11 = pkcs11
        self._session = session
        self._key = key
        self.name = name

    def wrap(self, key: bytes) -> bytes:
        """Let the token wrap a session object that holds the key."""
        attribute, mechanism = self._pkcs11.Attribute, self._pkcs11.Mechanism
        handle = self._session.create_object(
            {
                attribute.CLASS: self._pkcs11.ObjectClass.SECRET_KEY,
                attribute.KEY_TYPE: self._pkcs11.KeyType.AES,
                attribute.VALUE: key,
                attribute.TOKEN: False,
                attribute.SENSITIVE: False,
                attribute.EXTRACTABLE: True,
            }
        )
        try:
            return bytes(self._key.wrap_key(handle, mechanism=mechanism.AES_KEY_WRAP))
        finally:
            handle.destroy()

    def unwrap(self, wrapped: bytes) -> bytes:
        """Let the token unwrap, and take the value."""
        attribute = self._pkcs11.Attribute
        try:
            handle = self._key.unwrap_key(
                self._pkcs11.ObjectClass.SECRET_KEY,
                self._pkcs11.KeyType.AES,
                wrapped,
                mechanism=self._pkcs11.Mechanism.AES_KEY_WRAP,
                template={attribute.SENSITIVE: False, attribute.EXTRACTABLE: True, attribute.TOKEN: False},
            )
        except self._pkcs11.exceptions.PKCS11Error:
            raise Unavailable(ErrorCode.VAULT_SEALED) from None
        try:
            return bytes(handle[attribute.VALUE])
        finally:
            handle.destroy()

    def close(self) -> None:
        """End the session."""
        self._session.close()


def open_pkcs11_kek(
    *, module: str | None, token_label: str | None, key_label: str, pin: str | None, create: bool
) -> Pkcs11Kek:
    """Log in and find the key, or make it.

    Args:
        module: path of the token's library.
        token_label: which token.
        key_label: which AES-256 key.
        pin: the user PIN.
        create: make a non-extractable key if there is none.

    Raises:
        ConfigurationError: anything is missing.
    """
    try:
        import pkcs11
    except ImportError:
        raise refuse("PKCS#11 needs the extra 'pkcs11': pip install 'farebox[pkcs11]'.") from None
    library: Any = pkcs11
    if module is None or token_label is None or pin is None:
        raise refuse("PKCS#11 needs kek.pkcs11_module, kek.pkcs11_token and kek.pkcs11_pin.")
    errors = library.exceptions.PKCS11Error
    try:
        token = library.lib(module).get_token(token_label=token_label)
        session = _log_in(library, token, pin)
    except (errors, OSError, RuntimeError):
        raise refuse("The PKCS#11 token cannot be opened with these settings.") from None
    try:
        key = session.get_key(label=key_label, object_class=library.ObjectClass.SECRET_KEY)
    except library.exceptions.NoSuchKey:
        if not create:
            session.close()
            raise refuse("There is no such key in the PKCS#11 token; 'farebox init' makes one.") from None
        key = _generate(library, session, key_label)
    return Pkcs11Kek(library, session, key, f"pkcs11:{token_label}:{key_label}")


def _log_in(library: Any, token: Any, pin: str) -> Any:
    try:
        return token.open(rw=True, user_pin=pin)
    except library.exceptions.UserAlreadyLoggedIn:
        # A login counts for the whole process: a new key-encryption key may lie beside the old one.
        return token.open(rw=True)


def _generate(library: Any, session: Any, label: str) -> Any:
    attribute = library.Attribute
    return session.generate_key(
        library.KeyType.AES,
        256,
        label=label,
        store=True,
        capabilities=library.MechanismFlag.WRAP | library.MechanismFlag.UNWRAP,
        template={attribute.SENSITIVE: True, attribute.EXTRACTABLE: False},
    )
