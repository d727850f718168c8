"""What lies under `deploy/` is read by other programs; here it is held to the program it deploys."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from farebox.cli.main import main
from farebox.config.load import load
from farebox.config.settings import Settings
from farebox.domain.errors import ConfigurationError

DEPLOY = Path(__file__).parents[3] / "deploy"


def dockerfile_environment() -> dict[str, str]:
    text = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return dict(re.findall(r"(FAREBOX_\w+)=(\S+)", text))


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text(encoding="utf-8"))


def unit() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / "farebox.service").read_text(encoding="utf-8").splitlines():
        name, separator, value = line.partition("=")
        if separator and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def container_settings(tmp_path: Path) -> Settings:
    """Read the settings as the container's process would."""
    environment = dockerfile_environment() | compose()["services"]["farebox"]["environment"]
    url = tmp_path / "database_url"
    url.write_text("postgresql://farebox:made-up@postgres/farebox", encoding="utf-8")
    assert environment.pop("FAREBOX_DATABASE_URL_FILE") == "/run/secrets/database_url"
    return load({}, environment | {"FAREBOX_DATABASE_URL_FILE": str(url)})


def unit_settings() -> Settings:
    path = DEPLOY / "systemd" / "farebox.toml"
    return load({}, {"FAREBOX_CONFIG": str(path)})


def test_the_container_sets_only_what_farebox_knows(tmp_path: Path) -> None:
    """An unknown setting is an error, so a renamed one must be renamed here as well."""
    settings = container_settings(tmp_path)
    assert settings.url.startswith("postgresql://")
    assert settings.host == "0.0.0.0"
    with pytest.raises(ConfigurationError):
        load({}, dockerfile_environment() | {"FAREBOX_KEY__PATH": "/keys/farebox.kek"})


def test_the_container_never_speaks_plaintext_off_loopback(tmp_path: Path) -> None:
    """SEC-09: the listener that leaves the container has a certificate and key, which are mounted."""
    settings = container_settings(tmp_path)
    mounted = {f"/run/secrets/{name}" for name in compose()["services"]["farebox"]["secrets"]}
    assert {settings.tls_cert, settings.tls_key} <= mounted
    assert not settings.insecure_demo


def test_container_data_key_and_ring_lie_on_three_volumes(tmp_path: Path) -> None:
    """Section 4.9: whoever copies one volume has not got what opens it, nor what should be forgotten."""
    settings = container_settings(tmp_path)
    volumes = [volume.split(":") for volume in compose()["services"]["farebox"]["volumes"]]

    def volume_of(path: Path) -> str:
        (name,) = (name for name, target in volumes if PurePosixPath(path).is_relative_to(target))
        return name

    assert (
        len({volume_of(settings.data_path), volume_of(settings.kek_path), volume_of(settings.ring_path)}) == 3
    )


def test_every_compose_secret_and_volume_is_declared() -> None:
    """Compose refuses a file that names what it does not declare."""
    document = compose()
    for service in document["services"].values():
        assert set(service.get("secrets", ())) <= set(document["secrets"])
        for volume in service.get("volumes", ()):
            name = volume.split(":")[0]
            assert name.startswith("./") or name in document["volumes"]


def test_the_container_may_do_nothing_beyond_serving() -> None:
    """Section 3.6: read-only root, no capabilities, no core dump, memory may be locked."""
    service = compose()["services"]["farebox"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["ulimits"] == {"core": 0, "memlock": -1}
    assert "USER farebox" in (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")


def test_the_unit_gives_the_credential_that_its_settings_ask_for() -> None:
    """SEC-08: the key reaches the service by LoadCredential, under the name the settings have."""
    settings = unit_settings()
    assert settings.kek.provider == "systemd"
    assert settings.kek.credential in [value.split(":")[0] for value in unit()["LoadCredential"]]


def test_the_unit_may_write_its_data_and_its_ring_and_nothing_else() -> None:
    """Section 3.3: the ring is a directory of its own, outside what is backed up."""
    settings = unit_settings()
    (value,) = unit()["StateDirectory"]
    writable = [PurePosixPath("/var/lib") / name for name in value.split()]
    assert any(PurePosixPath(settings.data_path) == place for place in writable)
    assert any(PurePosixPath(settings.ring_path).is_relative_to(place) for place in writable)
    assert not settings.ring_path.is_relative_to(settings.data_path)
    assert unit()["ProtectSystem"] == ["strict"]


def test_whatever_is_started_is_a_command_of_farebox() -> None:
    """A renamed command would leave a unit and an image that cannot start."""
    (start,) = unit()["ExecStart"]
    assert start.split()[1:] == ["serve"]
    dockerfile = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert 'CMD ["serve"]' in dockerfile
    assert "serve" in main.list_commands(main.make_context("farebox", [], resilient_parsing=True))


def test_stopping_waits_longer_than_farebox_does() -> None:
    """Requests in flight are finished: who kills earlier than `limits.shutdown_s` would cut them."""
    shutdown_s = unit_settings().limits.shutdown_s
    (stop,) = unit()["TimeoutStopSec"]
    assert int(stop) > shutdown_s
    assert int(compose()["services"]["farebox"]["stop_grace_period"].removesuffix("s")) > shutdown_s


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("gives files to the container's users, which only root may")
    for name in ("prepare", "compose.yaml"):
        shutil.copy(DEPLOY / "compose" / name, tmp_path)
    subprocess.run([tmp_path / "prepare"], check=True, capture_output=True, timeout=60)
    return tmp_path


def test_prepare_makes_every_secret_that_compose_mounts(prepared: Path) -> None:
    """Secrets are random, agree with each other, and can be read by their users alone."""
    for secret in compose()["secrets"].values():
        found = (prepared / secret["file"]).stat()
        if not secret["file"].endswith("cert.pem"):
            assert found.st_mode & 0o077 == 0
    password = (prepared / "secrets/postgres_password").read_text(encoding="ascii")
    assert re.fullmatch(r"[0-9a-f]{48}", password)
    url = (prepared / "secrets/database_url").read_text(encoding="ascii")
    assert url == f"postgresql://farebox:{password}@postgres/farebox"
    certificate = x509.load_pem_x509_certificate((prepared / "secrets/tls_cert.pem").read_bytes())
    key = load_pem_private_key((prepared / "secrets/tls_key.pem").read_bytes(), None)
    assert certificate.public_key() == key.public_key()
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "farebox"} <= set(names.get_values_for_type(x509.DNSName))
    ssl.create_default_context(cafile=prepared / "secrets/tls_cert.pem")


def test_prepare_overwrites_nothing(prepared: Path) -> None:
    """A second run would lock Farebox out of its own database."""
    before = (prepared / "secrets/postgres_password").read_bytes()
    again = subprocess.run([prepared / "prepare"], check=False, capture_output=True, timeout=60)
    assert again.returncode == 1
    assert (prepared / "secrets/postgres_password").read_bytes() == before


def test_prometheus_asks_the_port_that_farebox_listens_on(tmp_path: Path) -> None:
    """Metrics are read over TLS, by a name that the certificate has."""
    text = (DEPLOY / "compose" / "prometheus.yaml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    settings = container_settings(tmp_path)
    assert job["static_configs"][0]["targets"] == [f"farebox:{settings.port}"]
    assert job["scheme"] == "https"
    assert settings.metrics == "everyone"
