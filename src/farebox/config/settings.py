"""Every setting, with its unit and default. `docs/reference/settings.md` is made from this module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct, field


class Kek(Struct, frozen=True, forbid_unknown_fields=True):
    """The key-encryption key, which wraps every other key. It must not lie in the data directory."""

    provider: Annotated[
        Literal["file", "systemd", "pkcs11"],
        Meta(description="Where the key is: a file, a systemd credential, or a PKCS#11 token."),
    ] = "file"
    path: Annotated[
        str | None,
        Meta(description="`file`: path of the key. Default: the data directory's name and `.kek`."),
    ] = None
    credential: Annotated[
        str, Meta(description="`systemd`: name of the credential in `$CREDENTIALS_DIRECTORY`.")
    ] = "farebox.kek"
    pkcs11_module: Annotated[str | None, Meta(description="`pkcs11`: path of the module's library.")] = None
    pkcs11_token: Annotated[str | None, Meta(description="`pkcs11`: label of the token.")] = None
    pkcs11_key: Annotated[str, Meta(description="`pkcs11`: label of the AES-256 key.")] = "farebox-kek"
    pkcs11_pin: Annotated[
        str | None, Meta(description="`pkcs11`: the user PIN; best given as `FAREBOX_KEK__PKCS11_PIN_FILE`.")
    ] = None


class Limits(Struct, frozen=True, forbid_unknown_fields=True):
    """How much one request may be; checked before anything is parsed."""

    body_bytes: Annotated[int, Meta(gt=0, description="Bytes of a body.")] = 65_536
    target_bytes: Annotated[int, Meta(gt=0, description="Bytes of path and query.")] = 4_096
    head_bytes: Annotated[int, Meta(gt=0, description="Bytes of request line and headers.")] = 16_384
    headers: Annotated[int, Meta(gt=0, description="Number of headers.")] = 64
    head_timeout_s: Annotated[float, Meta(gt=0, description="Seconds until the headers must be there.")] = (
        10.0
    )
    body_timeout_s: Annotated[
        float, Meta(gt=0, description="Seconds from there until the body must be there.")
    ] = 15.0
    keep_alive_s: Annotated[int, Meta(gt=0, description="Seconds an idle connection is kept.")] = 75
    shutdown_s: Annotated[
        int, Meta(gt=0, description="Seconds a stopping server waits for requests in flight.")
    ] = 30


class RateLimits(Struct, frozen=True, forbid_unknown_fields=True):
    """Requests an API key may make; in this process's memory."""

    per_s: Annotated[float, Meta(ge=0, description="Requests a second on average; 0 switches it off.")] = (
        20_000.0
    )
    burst: Annotated[int, Meta(ge=1, description="Requests at once.")] = 20_000


class Sandbox(Struct, frozen=True, forbid_unknown_fields=True):
    """The sandbox acquirer of test mode."""

    timeout_s: Annotated[float, Meta(gt=0, description="How long to wait for its answer, in seconds.")] = 10.0
    batch_every_s: Annotated[
        int,
        Meta(
            ge=0,
            description="Seconds between closings of its batch, from midnight UTC; 0 closes on command only.",
        ),
    ] = 86_400


class Webhooks(Struct, frozen=True, forbid_unknown_fields=True):
    """Telling merchants what happened."""

    allowed_networks: Annotated[
        list[str],
        Meta(
            description="Networks that webhooks may call beside the Internet, like `127.0.0.0/8`; for "
            "development. In the environment separated by commas."
        ),
    ] = field(default_factory=list[str])


class Settings(Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator may set."""

    data_dir: Annotated[str, Meta(description="Directory of the embedded database and the sandbox's books.")]
    database_url: Annotated[
        str | None,
        Meta(description="`postgresql://…` for PostgreSQL. Default: SQLite in the data directory."),
    ] = None
    kek: Kek = field(default_factory=Kek)
    ring_dir: Annotated[
        str | None,
        Meta(
            description="Directory of the erasable keys; never in a backup. Default: the data directory's "
            "name and `.ring`."
        ),
    ] = None
    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Main port; 0 takes a free one.")] = 8080
    dialect_ports: Annotated[
        dict[str, int], Meta(description="Ports with one dialect at their root, by dialect.")
    ] = field(default_factory=dict[str, int])
    dialect_hosts: Annotated[
        dict[str, str], Meta(description="Dialects by the host name at whose root they stand.")
    ] = field(default_factory=dict[str, str])
    tls_cert: Annotated[str | None, Meta(description="PEM file of the certificate chain.")] = None
    tls_key: Annotated[str | None, Meta(description="PEM file of its private key.")] = None
    insecure_demo: Annotated[
        bool,
        Meta(description="Start in spite of what `farebox doctor` refuses; live mode is closed then."),
    ] = False
    bin_length: Annotated[
        Literal[6, 8], Meta(description="Leading digits of a card that may be shown and stored.")
    ] = 6
    keep_cvc_after_verification: Annotated[
        bool,
        Meta(
            description="Keep the security code of a single-use token after a verification was answered, for "
            "the payment that follows. PCI DSS 3.3.1 forbids it for merchants; test mode only."
        ),
    ] = False
    limits: Limits = field(default_factory=Limits)
    rate_limits: RateLimits = field(default_factory=RateLimits)
    sandbox: Sandbox = field(default_factory=Sandbox)
    webhooks: Webhooks = field(default_factory=Webhooks)
    metrics: Annotated[
        Literal["loopback", "everyone", "off"], Meta(description="Who may read `/metrics`.")
    ] = "loopback"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level logged.")
    ] = "info"
    access_log: Annotated[bool, Meta(description="Log one line per request.")] = True
    events_kept_days: Annotated[int, Meta(ge=1, description="Days after which events are deleted.")] = 90
    backups_kept_days: Annotated[
        int,
        Meta(
            ge=0,
            description="Days a backup may be put back. A tenant key that no stored credential names is "
            "destroyed that long after it was first found unused.",
        ),
    ] = 35
    node: Annotated[str, Meta(description="Name of this node in the audit's chains.")] = "node"

    @property
    def url(self) -> str:
        """Give the database's URL."""
        return self.database_url or f"sqlite:///{self.data_path / 'farebox.sqlite3'}"

    @property
    def data_path(self) -> Path:
        """Give the data directory, absolute."""
        return Path(self.data_dir).expanduser().absolute()

    @property
    def kek_path(self) -> Path:
        """Give where the key file is, by default beside the data directory and never in it."""
        return self._beside(self.kek.path, ".kek")

    @property
    def ring_path(self) -> Path:
        """Give where the erasable keys are, by default beside the data directory and never in it."""
        return self._beside(self.ring_dir, ".ring")

    def _beside(self, chosen: str | None, suffix: str) -> Path:
        if chosen is not None:
            return Path(chosen).expanduser().absolute()
        return self.data_path.with_name(self.data_path.name + suffix)


SECRETS = frozenset({"database_url", "kek.pkcs11_pin"})
"""Settings that are shown as `(set)` only."""
