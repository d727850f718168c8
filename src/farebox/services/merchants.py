"""Merchants: made with an account at a processor and credentials for every dialect."""

from __future__ import annotations

from collections.abc import Callable

from farebox.domain.access import ApiKeyKind, Mode, Tenant, api_key_string
from farebox.domain.audit import AuditAction, AuditEntry
from farebox.domain.frozen import frozen
from farebox.domain.ids import MerchantAccountId, MerchantId
from farebox.domain.merchants import ApiKey, Merchant, MerchantAccount
from farebox.domain.tokens import draw
from farebox.domain.webhooks import SigningSecret, account_owner
from farebox.ports.keys import KeyProvisioning
from farebox.ports.secrets import Secrets
from farebox.ports.storage import Storage, UnitOfWork
from farebox.ports.system import Clock, Randomness
from farebox.services.access import Access
from farebox.services.ids import Ids

_URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_HEX = "0123456789abcdef"


@frozen
class Credential:
    """One credential as it is shown, once: the fields a program needs, and the string that is presented.

    `presented` is what the server digests: a key, or `id:secret` where the protocol sends both.
    """

    dialect: str
    kind: ApiKeyKind
    presented: str
    shown: tuple[tuple[str, str], ...]
    attributes: tuple[tuple[str, str], ...] = ()
    signs: bool = False
    """It is also the key with which what the dialect sends to the merchant is signed."""


class Merchants:
    """Creates and lists merchants."""

    def __init__(
        self,
        *,
        storage: Storage,
        provisioning: KeyProvisioning,
        secrets: Secrets,
        access: Access,
        clock: Clock,
        ids: Ids,
        randomness: Randomness,
    ) -> None:
        """Take what it works with."""
        self._storage = storage
        self._provisioning = provisioning
        self._secrets = secrets
        self._access = access
        self._clock = clock
        self._ids = ids
        self._randomness = randomness

    async def create(
        self, name: str, mode: Mode, *, processor: str = "sandbox"
    ) -> tuple[Merchant, dict[str, dict[str, str]]]:
        """Make a merchant with keys of its own and credentials for every dialect.

        Returns:
            The merchant, and by dialect the credentials to show once.
        """
        merchant = Merchant(
            id=MerchantId(self._ids.new("mer")), mode=mode, name=name, created_at=self._clock.now()
        )
        await self._provisioning.provision(merchant.tenant)
        names = self._account_names(mode)
        account = MerchantAccount(
            id=MerchantAccountId(self._ids.new("ma")),
            tenant=merchant.tenant,
            processor=processor,
            created_at=merchant.created_at,
            names=names,
        )
        credentials = self._credentials(merchant.tenant, names)
        keys = [
            self._access.key_record(
                merchant.tenant,
                credential.kind,
                credential.dialect,
                credential.presented,
                attributes=dict(credential.attributes),
                label="issued with the merchant",
            )
            for credential in credentials
        ]
        signing = [self._signing(merchant, one) for one in credentials if one.signs]
        await self._storage.write(lambda uow: self._store(uow, merchant, account, keys, signing))
        shown: dict[str, dict[str, str]] = {}
        for credential in credentials:
            shown.setdefault(credential.dialect, {}).update(credential.shown)
        return merchant, shown

    async def all(self) -> list[Merchant]:
        """List merchants."""
        return list(await self._storage.read(lambda uow: uow.merchants.all()))

    async def _store(
        self,
        uow: UnitOfWork,
        merchant: Merchant,
        account: MerchantAccount,
        keys: list[ApiKey],
        signing: list[SigningSecret],
    ) -> None:
        await uow.merchants.insert(merchant)
        await uow.merchants.insert_account(account)
        for key in keys:
            await uow.merchants.insert_key(key)
        for secret in signing:
            await uow.webhooks.insert_secret(secret)
        entries = [_entry(AuditAction.MERCHANT_CREATED, merchant, merchant.id)]
        entries += [_entry(AuditAction.API_KEY_CREATED, merchant, key.id) for key in keys]
        await uow.audit.append(entries)

    def _signing(self, merchant: Merchant, credential: Credential) -> SigningSecret:
        """Seal a credential that signs, as the merchant's first secret in its dialect."""
        owner = account_owner(credential.dialect)
        sealed = self._secrets.seal_signing_secret(credential.presented, tenant=merchant.tenant, owner=owner)
        return SigningSecret(merchant.tenant, owner, 1, sealed, merchant.created_at)

    def _account_names(self, mode: Mode) -> dict[str, str]:
        """Draw what each gateway calls an account, in its own shape."""
        digits = self._draw("0123456789", 8)
        return {
            "paysafe": "1" + self._draw("0123456789", 9),
            # The last three digits number a merchant's terminals.
            "payroc": "1" + self._draw("0123456789", 6) + "001",
            "dintero": ("T" if mode is Mode.TEST else "P") + "1" + digits[:7],
            "dintero_profile": "default",
        }

    def _credentials(self, tenant: Tenant, names: dict[str, str]) -> list[Credential]:
        return [
            credential
            for make in (_native, _bamboo, _paysafe, _payroc, _dintero)
            for credential in make(tenant, names, self._draw, self._randomness)
        ]

    def _draw(self, alphabet: str, length: int) -> str:
        return draw(alphabet, length, self._randomness.bytes)


Draw = Callable[[str, int], str]


def _native(tenant: Tenant, names: dict[str, str], chars: Draw, randomness: Randomness) -> list[Credential]:
    secret = api_key_string(ApiKeyKind.SECRET, tenant.mode, randomness.bytes(32))
    public = api_key_string(ApiKeyKind.PUBLISHABLE, tenant.mode, randomness.bytes(32))
    return [
        Credential("native", ApiKeyKind.SECRET, secret, (("secret_key", secret),)),
        Credential("native", ApiKeyKind.PUBLISHABLE, public, (("publishable_key", public),)),
    ]


def _bamboo(tenant: Tenant, names: dict[str, str], chars: Draw, randomness: Randomness) -> list[Credential]:
    """A private key of 57 characters ending in `__` and a public one of 32, of the base64url alphabet."""
    private, public = chars(_URL_SAFE, 55) + "__", chars(_URL_SAFE, 32)
    return [
        Credential("bamboo", ApiKeyKind.SECRET, private, (("private_key", private),), signs=True),
        Credential("bamboo", ApiKeyKind.PUBLISHABLE, public, (("public_key", public),)),
    ]


def _paysafe(tenant: Tenant, names: dict[str, str], chars: Draw, randomness: Randomness) -> list[Credential]:
    """Both keys are `id:secret`; the single-use-token key's id begins with `OT-`."""
    account = names["paysafe"]

    def password() -> str:
        return f"B-qa2-0-{chars(_HEX, 24)}-{chars(_HEX, 40)}"

    private, public = f"{account}:{password()}", f"OT-{account}:{password()}"
    attributes = (("account_id", account),)
    return [
        Credential(
            "paysafe",
            ApiKeyKind.SECRET,
            private,
            (("account_id", account), ("api_key", private)),
            attributes,
        ),
        Credential(
            "paysafe",
            ApiKeyKind.PUBLISHABLE,
            public,
            (("single_use_token_key", public),),
            attributes,
        ),
    ]


def _payroc(tenant: Tenant, names: dict[str, str], chars: Draw, randomness: Randomness) -> list[Credential]:
    key, terminal = chars(_URL_SAFE, 64), names["payroc"]
    return [
        Credential(
            "payroc",
            ApiKeyKind.SECRET,
            key,
            (("api_key", key), ("processing_terminal_id", terminal)),
            (("processing_terminal_id", terminal),),
        )
    ]


def _dintero(tenant: Tenant, names: dict[str, str], chars: Draw, randomness: Randomness) -> list[Credential]:
    account, profile = names["dintero"], names["dintero_profile"]
    client_id, client_secret = chars(_HEX, 32), chars(_URL_SAFE, 48)
    return [
        Credential(
            "dintero",
            ApiKeyKind.SECRET,
            f"{client_id}:{client_secret}",
            (
                ("account_id", account),
                ("client_id", client_id),
                ("client_secret", client_secret),
                ("profile_id", profile),
            ),
            (("account_id", account), ("client_id", client_id), ("profile_id", profile)),
        )
    ]


def _entry(action: AuditAction, merchant: Merchant, object_id: str) -> AuditEntry:
    return AuditEntry(
        action=action,
        at=merchant.created_at,
        merchant_id=merchant.id,
        actor="operator",
        object_id=object_id,
        why="",
    )
