"""The OpenAPI document against the application: what it allows, and what it does not (schemathesis).

Seeded, so that a run that finds something finds it again. Path parameters and tokens are real ones as
often as made-up ones; otherwise nearly every example would end at a 404.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from farebox import __version__
from farebox.bootstrap import Services, build_app, init, open_services
from farebox.config.load import load
from farebox.dialects.native.declaration import NATIVE
from farebox.testing.asgi import Answer, ask
from farebox.web.app import App
from farebox.web.health import Readiness
from farebox.web.openapi import openapi

EXAMPLES = 30
CARD = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2099, "cvc": "123"}
schema = schemathesis.openapi.from_dict(openapi(NATIVE, version=__version__))


@dataclass(slots=True)
class Target:
    runner: asyncio.Runner
    app: App
    services: Services
    key: str
    known: dict[str, str]

    def ask(
        self, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        headers = {"authorization": f"Bearer {self.key}", **(headers or {})}
        return self.runner.run(ask(self.app, method, target, body=body, headers=headers))

    def make(self, path: str, body: dict[str, Any]) -> Any:
        answer = self.ask("POST", path, json.dumps(body).encode(), {"content-type": "application/json"})
        assert answer.status == 201, answer.body
        return answer.value

    def mint(self) -> str:
        return self.make("/v1/single_use_tokens", {"card": CARD})["token"]

    def payment(self, path: str) -> str:
        """Make one that the follow-up at this path can be made of."""
        self.ask("DELETE", "/v1/sandbox/faults")
        capture = path.endswith("refunds")
        body = {"amount_minor": 1000, "currency": "USD", "capture": capture}
        return self.make("/v1/payments", {**body, "source": {"single_use_token": self.mint()}})["id"]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The application on a loop of its own, with one of everything in it."""
    config = load(
        {"data_dir": str(tmp_path_factory.mktemp("schema") / "data"), "sandbox": {"timeout_s": 0.01}}, {}
    )
    with asyncio.Runner() as runner:
        _, credentials = runner.run(init(config))
        opened = open_services(config)
        services = runner.run(opened.__aenter__())
        made = Target(
            runner,
            build_app(services, Readiness({}), {}),
            services,
            credentials["native"]["secret_key"],
            {},
        )
        fill(made)
        yield made
        runner.run(opened.__aexit__(None, None, None))


def fill(target: Target) -> None:
    """Make what path parameters can name."""
    usd = {"currency": "USD", "amount_minor": 1000}
    payment = target.make(
        "/v1/payments",
        {**usd, "source": {"single_use_token": target.mint()}, "save": "recurrence_token", "capture": False},
    )
    customer = target.make("/v1/customers", {})
    event = target.ask("GET", "/v1/events?limit=1").value["data"][0]
    target.known = {
        "token": target.mint(),
        "payment_id": payment["id"],
        "payment_token": payment["recurrence_token"],
        "agreement_id": payment["agreement"],
        "customer_id": customer["id"],
        "event_id": event["id"],
    }


def enliven(case: schemathesis.Case, target: Target) -> None:
    """Put real names in the place of every other made-up one."""
    for name, value in (case.path_parameters or {}).items():
        if name in target.known and len(str(value)) % 2:
            follows_up = name == "payment_id" and case.method == "POST"
            case.path_parameters[name] = target.payment(case.path) if follows_up else target.known[name]
    body = case.body
    if not isinstance(body, dict):
        return
    if isinstance(body.get("card"), dict):
        body["card"] = CARD | {"holder_name": body["card"].get("holder_name")}
    source = body.get("source")
    if isinstance(source, dict) and "single_use_token" in source:
        body["source"] = {"single_use_token": target.mint()}
    if isinstance(body.get("single_use_token"), str):
        body["single_use_token"] = target.mint()


def send(case: schemathesis.Case, target: Target) -> schemathesis.Response:
    """Send a case into the application, as `requests` would have it on the wire."""
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://farebox.test")).prepare()
    body = prepared.body or b""
    headers = {
        name.lower(): value if isinstance(value, str) else value.decode("latin-1")
        for name, value in prepared.headers.items()
        if name.lower() not in {"host", "content-length", "transfer-encoding"}
    }
    headers |= {"authorization": f"Bearer {target.key}"}
    answer = target.ask(
        prepared.method or "GET",
        prepared.path_url,
        body if isinstance(body, bytes) else body.encode(),
        headers,
    )
    found = {name: [value] for name, value in answer.headers}
    return schemathesis.Response(answer.status, found, answer.body, prepared, elapsed=0.0, verify=False)


def is_scripted(response: schemathesis.Response) -> bool:
    """Tell whether this is the trouble that an earlier example asked the sandbox for."""
    return response.status_code == 503 and response.json()["code"] == "processor_unreachable"


CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_no_example_breaks_anything(case: schemathesis.Case, target: Target) -> None:
    """No 5xx, and every answer has a status, a type and a shape that the document declares."""
    enliven(case, target)
    response = send(case, target)
    if is_scripted(response):
        return
    case.validate_response(response, checks=CHECKS)


@pytest.mark.parametrize(
    ("status", "media_type", "body"),
    [
        (500, "application/problem+json", {}),
        (201, "application/json", {"object": "customer"}),
        (201, "text/plain", {}),
        (202, "application/json", {}),
    ],
)
def test_the_checks_notice_what_is_wrong(status: int, media_type: str, body: dict[str, Any]) -> None:
    """Negative control: checks that nothing fails would prove nothing."""
    case = schema["/v1/customers"]["POST"].Case(body={}, media_type="application/json")
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://farebox.test")).prepare()
    response = schemathesis.Response(
        status, {"content-type": [media_type]}, json.dumps(body).encode(), prepared, elapsed=0.0, verify=False
    )
    with pytest.raises(FailureGroup):
        case.validate_response(response, checks=CHECKS)
