"""Programs that ask as Paysafe's Node.js and Python SDKs do, byte for byte, over real sockets.

Neither SDK is in a package registry, so each is a few lines here that send what the SDK sends: header names
and order, slashes, texts for numbers, bodies on look-ups and deletions.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from farebox.testing.server import Server

NewServer = Callable[..., Server]
HOST = "api.test.paysafe.com"
CARD = {"cardNum": "4530910000012345", "cardExpiry": {"month": "09", "year": "2031"}, "cvv": "123"}
ADDRESS = {"street": "1 X", "city": "T", "state": "ON", "country": "CA", "zip": "M5H2N2"}


class Node:
    """`NodePaysafeSDK` 1.0.0: plain HTTP, `host + "/" + path`, every value as the caller set it."""

    def __init__(self, port: int, pair: str, prefix: str = "/paysafe") -> None:
        self.address, self.prefix = ("127.0.0.1", port), prefix
        self.basic = b64encode(pair.encode()).decode()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=30)

    def headers(self, method: str, payload: bytes) -> list[str]:
        lines = [
            "Content-Type: application/json; charset=utf-8",
            f"Authorization: Basic {self.basic}",
            f"host: 127.0.0.1:{self.address[1]}",
        ]
        if payload or method != "GET":
            lines.append(f"content-length: {len(payload)}")
        return lines

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Give the entity: the body, or the status where there is none; errors are not raised."""
        payload = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        lines = [
            f"{method} {self.prefix}{path} HTTP/1.1",
            *self.headers(method, payload),
            "connection: close",
        ]
        with self.connect() as connection:
            connection.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
            received = b""
            while part := connection.recv(65536):
                received += part
        head, _, answer = received.partition(b"\r\n\r\n")
        status = int(head[9:12])
        assert f"content-length: {len(answer)}".encode() in head.lower(), head
        assert b"content-type: application/json" in head.lower(), head
        return json.loads(answer) if answer else {"status": status}


class Python(Node):
    """`PythonPaysafeSDK`: TLS always, the certificate verified, and a body of `{}` on some look-ups."""

    def __init__(self, port: int, pair: str, certificate: Path) -> None:
        super().__init__(port, pair, prefix="")
        self.trust = ssl.create_default_context(cafile=str(certificate))

    def connect(self) -> socket.socket:
        return self.trust.wrap_socket(super().connect(), server_hostname=HOST)

    def headers(self, method: str, payload: bytes) -> list[str]:
        return [
            f"Host: {HOST}",
            "Accept-Encoding: identity",
            f"Content-Length: {len(payload)}",
            "User-Agent: python-urllib3/2.8.0",
            "content-type: application/json;charset=utf-8",
            f"authorization: Basic {self.basic}",
        ]


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for the host that the SDK insists on, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    today = dt.datetime.now(dt.UTC)  # noqa: TID251  # a certificate is valid in real time
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    paths[0].write_bytes(built.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


@pytest.fixture
def tls_before(certificate: tuple[Path, Path]) -> Iterator[Callable[[int], int]]:
    """Puts TLS before a port, as a reverse proxy does; gives the port that answers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    servers: list[asyncio.Server] = []

    async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()
        sink.close()

    def put(port: int) -> int:
        async def serve() -> int:
            async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
                await asyncio.gather(
                    pipe(reader, inner_writer), pipe(inner_reader, writer), return_exceptions=True
                )

            servers.append(await asyncio.start_server(carry, "127.0.0.1", 0, ssl=context))
            return servers[-1].sockets[0].getsockname()[1]

        return asyncio.run_coroutine_threadsafe(serve(), loop).result(10)

    yield put

    async def stop() -> None:
        for server in servers:
            server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.1)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def close_batch(server: Server) -> None:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    key = server.credentials["native"]["secret_key"]
    connection.request("POST", "/v1/sandbox/batches/close", headers={"authorization": f"Bearer {key}"})
    assert connection.getresponse().status == 200
    connection.close()


def live(  # noqa: PLR0915  # a life is long
    sdk: Node, public: Node, account: str, server: Server, *, slash: str, empty: Any
) -> None:
    """Live a whole life: token, verification, payments, settlements, refund, vault, mandate, debit, deletes.

    Args:
        sdk: asks with the private key.
        public: asks with the single-use token key.
        account: the merchant's.
        server: whose batch closes.
        slash: what ends the path of a new authorization.
        empty: what look-ups send as a body.
    """
    cards, vault = f"/cardpayments/v1/accounts/{account}", "/customervault/v1"
    assert sdk.ask("GET", "/cardpayments/monitor") == {"status": "READY"}

    def token() -> str:
        made = public.ask("POST", f"{vault}/singleusetokens", {"card": {**CARD, "billingAddress": ADDRESS}})
        return made["paymentToken"]

    single = token()
    verified = sdk.ask(
        "POST", f"{cards}/verifications", {"merchantRefNum": "v", "card": {"paymentToken": single}}
    )
    assert (verified["status"], verified["cvvVerification"]) == ("COMPLETED", "MATCH")
    auth = {
        "merchantRefNum": "n-1",
        "amount": "1099",
        "settleWithAuth": "false",
        "card": {"paymentToken": single},
    }
    made = sdk.ask("POST", f"{cards}/auths{slash}", auth)
    assert (made["status"], made["amount"], made["availableToSettle"]) == ("COMPLETED", 1099, 1099)
    again = sdk.ask("POST", f"{cards}/auths{slash}", {**auth, "merchantRefNum": "n-2"})
    assert again["error"]["code"] == "5502"
    found = sdk.ask("GET", f"{cards}/auths{slash}?merchantRefNum=n-1", empty)
    assert [one["id"] for one in found["auths"]] == [made["id"]]
    settlements = f"{cards}/auths/{made['id']}/settlements"
    first = sdk.ask("POST", settlements, {"merchantRefNum": "s-1", "amount": "400", "dupCheck": "true"})
    sdk.ask("POST", settlements, {"merchantRefNum": "s-2", "amount": "699", "id": made["id"]})
    refunds = f"{cards}/settlements/{first['id']}/refunds"
    assert sdk.ask("POST", refunds, {"merchantRefNum": "r-0"})["error"]["code"] == "3406"
    close_batch(server)
    refund = sdk.ask("POST", refunds, {"merchantRefNum": "r-1", "amount": "100"})
    assert sdk.ask("GET", f"{cards}/refunds/{refund['id']}", empty)["status"] == "PENDING"
    clear = {"merchantRefNum": "n-3", "amount": "1099", "settleWithAuth": "true", "card": CARD}
    bought = sdk.ask("POST", f"{cards}/auths{slash}", {**clear, "billingDetails": ADDRESS})
    assert bought["settlements"][0]["id"] == bought["id"]
    declined = sdk.ask("POST", f"{cards}/auths{slash}", {**clear, "merchantRefNum": "n-4", "amount": "5"})
    assert declined["error"]["code"] == "3009"

    profiles = f"{vault}/profiles/"
    profile = sdk.ask(
        "POST",
        profiles,
        {"merchantCustomerId": "mycustomer1", "locale": "en_US", "card": {"singleUseToken": token()}},
    )
    permanent = profile["cards"][0]["paymentToken"]
    paid = {"merchantRefNum": "n-5", "amount": "200", "card": {"paymentToken": permanent}}
    assert sdk.ask("POST", f"{cards}/auths{slash}", paid)["billingDetails"] == ADDRESS
    base = f"{profiles}{profile['id']}"
    address = sdk.ask("POST", f"{base}/addresses/", ADDRESS)
    account_in = {
        "accountHolderName": "XYZ Company", "iban": "DE89370400440532013000",
        "billingAddressId": address["id"],
    }  # fmt: skip
    bank = sdk.ask("POST", f"{base}/sepabankaccounts", account_in)
    mandate = sdk.ask(
        "POST", f"{base}/sepabankaccounts/{bank['id']}/mandates/", {"reference": "SUBSCRIPTION101"}
    )
    assert mandate["status"] == "ACTIVE"
    debits = f"/directdebit/v1/accounts/{account}/purchases"
    debit = {"merchantRefNum": "d-1", "amount": "666", "sepa": {"paymentToken": mandate["paymentToken"]}}
    purchase = sdk.ask("POST", debits + slash, debit)
    assert (purchase["status"], purchase["currencyCode"]) == ("PENDING", "EUR")
    assert sdk.ask("GET", f"{debits}/{purchase['id']}", {"id": purchase["id"]})["id"] == purchase["id"]
    assert sdk.ask("PUT", f"{debits}/{purchase['id']}", {"status": "CANCELLED"})["status"] == "CANCELLED"
    shown = sdk.ask("GET", f"{base}?fields=cards,addresses,sepabankaccounts")
    assert shown["sepaBankAccounts"][0]["mandates"][0]["id"] == mandate["id"]
    assert sdk.ask("DELETE", f"{base}/mandates/{mandate['id']}", {"id": mandate["id"]}) == {"status": 200}
    assert sdk.ask("DELETE", f"{base}/sepabankaccounts/{bank['id']}") == {"status": 200}
    assert sdk.ask("DELETE", f"{base}/cards/{profile['cards'][0]['id']}") == {"status": 200}
    assert sdk.ask("DELETE", base) == {"status": 200}
    assert sdk.ask("GET", base)["error"]["code"] == "5269"


async def test_a_program_of_the_node_sdk(new_server: NewServer, database_url: str | None) -> None:
    """Plain HTTP, trailing slashes, texts for numbers, on either database."""
    server = new_server(database_url)
    server.start()
    keys = server.credentials["paysafe"]
    sdk, public = (Node(server.port, keys[name]) for name in ("api_key", "single_use_token_key"))
    await asyncio.to_thread(live, sdk, public, keys["account_id"], server, slash="/", empty=None)


async def test_a_program_of_the_python_sdk(
    new_server: NewServer, tls_before: Callable[[int], int], certificate: tuple[Path, Path]
) -> None:
    """TLS under the host name that the SDK insists on, no slashes, bodies on look-ups."""
    server = new_server(None, DIALECT_HOSTS=f"{HOST}=paysafe")
    server.start()
    port = tls_before(server.port)
    keys = server.credentials["paysafe"]
    sdk, public = (Python(port, keys[name], certificate[0]) for name in ("api_key", "single_use_token_key"))
    await asyncio.to_thread(live, sdk, public, keys["account_id"], server, slash="", empty={})
