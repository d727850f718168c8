"""`make bench`: measure mint, look, spend and read over real HTTP, and write `RESULTS.md`.

Everything runs on this machine, the load generator included, on loopback only, and ends by itself after some
minutes. Durability is full: the server is the one that `farebox serve` starts.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import pickle
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import Plan, Result
from benchmarks.references import batched_inserts_per_s, raw_syncs_per_s
from farebox.domain.cards import luhn_valid

CONNECTIONS = (1, 8, 32, 64)
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent
COMMAND = [sys.executable, "-c", "from farebox.cli import main; main()"]


@dataclass
class Measured:
    """One scenario at one number of connections; times in seconds."""

    scenario: str
    connections: int
    requests: int
    per_s: float
    p50_s: float
    p99_s: float
    p999_s: float
    cpu_s: float
    """Server CPU per request."""
    rss_mib: float


class Process:
    """A server process and what the kernel says of it."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def rss_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no VmRSS")

    def wait_ready(self, path: str) -> None:
        for _ in range(400):
            if self.process.poll() is not None:
                raise RuntimeError("the server ended")
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
                connection.request("POST" if path == "/" else "GET", path, b"{}" if path == "/" else None)
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("the server did not become ready")


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@contextmanager
def running(command: Sequence[str], ready: str, port: int, log: Path) -> Iterator[Process]:
    with log.open("wb") as out:
        server = Process(subprocess.Popen(command, stdout=out, stderr=out), port)
        try:
            server.wait_ready(ready)
            yield server
        finally:
            server.process.terminate()
            server.process.wait(30)


def post(path: str, body: dict[str, object], key: str) -> bytes:
    payload = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def get(path: str, key: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\r\n".encode()


def card_numbers(count: int, start: int) -> list[str]:
    """Give unique numbers with right check digits from the published test range 424242."""
    numbers: list[str] = []
    for serial in range(start, start + count):
        body = f"424242{serial:09d}"
        numbers.append(next(body + digit for digit in "0123456789" if luhn_valid(body + digit)))
    return numbers


def mint_body(number: str) -> dict[str, object]:
    """Make a body of about 400 bytes."""
    return {
        "card": {
            "number": number,
            "exp_month": 12,
            "exp_year": 2034,
            "cvc": "123",
            "holder_name": "Ada Lovelace",
        },
        "billing_address": {
            "line1": "12 Analytical Engine Street",
            "city": "Springfield",
            "state": "IL",
            "postal_code": "62701",
            "country": "US",
        },
        "lifetime_s": 1800,
        "metadata": {"order": number[6:15], "channel": "web", "campaign": "autumn-2026-returning-customers"},
    }


class Bench:
    """Runs scenarios against one server and keeps what it measured."""

    def __init__(self, server: Process, directory: Path) -> None:
        self._server = server
        self._directory = directory
        self.measured: list[Measured] = []

    def load(self, plan: Plan) -> tuple[Result, float]:
        plan_path, result_path = self._directory / "plan", self._directory / "result"
        plan_path.write_bytes(pickle.dumps(plan))
        before = self._server.cpu_s()
        subprocess.run(
            [sys.executable, "-m", "benchmarks.generate", str(plan_path), str(result_path)], check=True
        )
        cpu_s = self._server.cpu_s() - before
        result = pickle.loads(result_path.read_bytes())  # noqa: S301  # our own file
        if any(status >= 300 for status in result.statuses):
            raise RuntimeError(f"not every request was answered well: {result.statuses}")
        return result, cpu_s

    def run(self, scenario: str, plan: Plan) -> Result:
        result, cpu_s = self.load(plan)
        latencies = sorted(result.latencies_s)
        count = len(latencies)
        row = Measured(
            scenario=scenario,
            connections=plan.connections,
            requests=count,
            per_s=count / result.elapsed_s,
            p50_s=latencies[count // 2],
            p99_s=latencies[int(count * 0.99)],
            p999_s=latencies[int(count * 0.999)],
            cpu_s=cpu_s / count,
            rss_mib=self._server.rss_mib(),
        )
        self.measured.append(row)
        print(
            f"{scenario:>14} {row.connections:>3} conn {row.per_s:>9.0f}/s  p50 {row.p50_s * 1e3:7.3f} ms  "
            f"p99 {row.p99_s * 1e3:7.3f}  p99.9 {row.p999_s * 1e3:7.3f}  cpu {row.cpu_s * 1e6:6.1f} us  "
            f"rss {row.rss_mib:.0f} MiB",
            flush=True,
        )
        return result

    def best(self, scenario: str, connections: int) -> Measured:
        rows = [row for row in self.measured if (row.scenario, row.connections) == (scenario, connections)]
        return rows[-1]


def bench_echo(directory: Path, count: int) -> Bench:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.references", str(port)]
    with running(command, "/", port, directory / "echo.log") as server:
        bench = Bench(server, directory)
        request = post("/", mint_body(card_numbers(1, 0)[0]), "k" * 64)
        for connections in CONNECTIONS:
            bench.run("echo", Plan(port, connections, [request] * (count * 2 if connections > 1 else count)))
        return bench


def bench_farebox(directory: Path, count: int) -> tuple[Bench, float]:
    data, port = directory / "data", free_port()
    made = subprocess.run(
        [*COMMAND, "init", "--data-dir", str(data), "--json"], check=True, capture_output=True
    )
    key = json.loads(made.stdout)["native"]["secret_key"]
    command = [*COMMAND, "serve", "--data-dir", str(data), "--port", str(port)]
    with running(command, "/readyz", port, directory / "farebox.log") as server:
        time.sleep(1)
        idle_mib = server.rss_mib()
        print(f"idle server: {idle_mib:.0f} MiB", flush=True)
        bench, serial = Bench(server, directory), 0
        for connections in CONNECTIONS:
            size = count if connections > 1 else count // 2
            mints = [
                post("/v1/single_use_tokens", mint_body(number), key) for number in card_numbers(size, serial)
            ]
            serial += size
            tokens = bench.run("mint", Plan(port, connections, mints, collect=b'"token":"')).collected
            bench.run(
                "look", Plan(port, connections, [get(f"/v1/single_use_tokens/{t}", key) for t in tokens])
            )
            body = {"amount_minor": 1999, "currency": "USD"}
            spends = [post("/v1/payments", {**body, "source": {"single_use_token": t}}, key) for t in tokens]
            payments = bench.run("spend", Plan(port, connections, spends, collect=b'"id":"')).collected
            bench.run("read", Plan(port, connections, [get(f"/v1/payments/{p}", key) for p in payments]))
        for scenario in ("mint", "spend"):
            rate = bench.best(scenario, 64).per_s / 2
            numbers = card_numbers(count, serial)
            serial += count
            mints = [post("/v1/single_use_tokens", mint_body(number), key) for number in numbers]
            plan = Plan(
                port, 64, mints, rate_per_s=rate if scenario == "mint" else None, collect=b'"token":"'
            )
            if scenario == "mint":
                bench.run("mint, paced", plan)
            else:
                tokens = bench.load(plan)[0].collected
                spends = [
                    post("/v1/payments", {**body, "source": {"single_use_token": t}}, key) for t in tokens
                ]
                bench.run("spend, paced", Plan(port, 64, spends, rate_per_s=rate))
        return bench, idle_mib


def help_s() -> float:
    """Time `farebox --help`, the median of nine."""
    times: list[float] = []
    for _ in range(9):
        started = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return median(times)


@dataclass
class Target:
    """A target as the ratio of two figures of this run."""

    what: str
    measured: float
    wanted: str
    met: bool


def judge(echo: Bench, farebox: Bench, syncs: float, idle_mib: float, help_time_s: float) -> list[Target]:
    def ratio(scenario: str) -> float:
        return farebox.best(scenario, 64).cpu_s / echo.best("echo", 64).cpu_s

    mints = farebox.best("mint", 64).per_s / syncs
    lone = farebox.best("mint", 1).p50_s
    allowed = 4 / syncs + echo.best("echo", 1).p50_s
    paced_ms = max(farebox.best(f"{name}, paced", 64).p99_s for name in ("mint", "spend")) * 1e3
    found = [
        Target(
            f"{name}: server CPU over the echo's, 64 connections",
            ratio(name),
            f"<= {most}",
            ratio(name) <= most,
        )
        for name, most in (("mint", 3.5), ("look", 2.0), ("spend", 7.0))
    ]
    return [
        *found,
        Target("mints per raw sync of the disk, 64 connections", mints, ">= 0.8", mints >= 0.8),
        Target("lone mint's median over four syncs and an echo", lone / allowed, "<= 1", lone <= allowed),
        Target("p99 at half of the maximum throughput, ms", paced_ms, "<= 10", paced_ms <= 10),
        Target("resident memory of the idle server, MiB", idle_mib, "< 120", idle_mib < 120),
        Target("farebox --help, s", help_time_s, "< 0.3", help_time_s < 0.3),
    ]


def report(rows: list[Measured], targets: list[Target], syncs: float, inserts: float) -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    lines = [
        "# Measured",
        "",
        "Written by `make bench`; one run on one machine, load generator included. Absolute figures are that",
        "machine's; the ratios are what to compare.",
        "",
        f"- Machine: {model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        f"- Python {platform.python_version()}, embedded store, `synchronous=FULL`, one server process",
        f"- Disk: {syncs:,.0f} raw syncs a second (4 KiB append and fdatasync)",
        f"- Bare SQLite: {inserts:,.0f} inserts a second (400-byte rows, 64 a transaction, same pragmas)",
        "",
        "| target | measured | wanted | |",
        "|---|---|---|---|",
        *(
            f"| {t.what} | {t.measured:.2f} | {t.wanted} | {'met' if t.met else '**missed**'} |"
            for t in targets
        ),
        "",
        "| scenario | connections | requests/s | p50 ms | p99 ms | p99.9 ms | server CPU us | RSS MiB |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {r.scenario} | {r.connections} | {r.per_s:,.0f} | {r.p50_s * 1e3:.2f} | {r.p99_s * 1e3:.2f} "
            f"| {r.p999_s * 1e3:.2f} | {r.cpu_s * 1e6:.0f} | {r.rss_mib:.0f} |"
            for r in rows
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Farebox on this machine."
    )
    parser.add_argument("--requests", type=int, default=8000, help="requests a scenario (8000)")
    parser.add_argument("--no-write", action="store_true", help="print only; leave RESULTS.md as it is")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="farebox-bench-", dir=HERE.parent) as name:
        directory = Path(name)
        syncs, inserts = raw_syncs_per_s(directory), batched_inserts_per_s(directory)
        print(f"disk: {syncs:.0f} syncs/s   bare SQLite: {inserts:.0f} inserts/s", flush=True)
        echo = bench_echo(directory, arguments.requests)
        farebox, idle_mib = bench_farebox(directory, arguments.requests)
    targets = judge(echo, farebox, syncs, idle_mib, help_s())
    text = report([*echo.measured, *farebox.measured], targets, syncs, inserts)
    print("\n" + text)
    if not arguments.no_write:
        (HERE / "RESULTS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
