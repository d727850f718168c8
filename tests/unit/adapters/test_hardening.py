from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from farebox.adapters.hardening import (
    Circumstances,
    Process,
    Verdict,
    findings,
    refusals,
    shares_volume,
)

SAFE = Circumstances(
    process=Process(
        is_optimized=False,
        is_dumpable=False,
        core_bytes_max=0,
        is_memory_locked=True,
        is_swap_on=False,
        is_root=False,
    ),
    host="127.0.0.1",
    has_tls=False,
    keeps_cvc=False,
)


def with_process(**facts: bool | int) -> Circumstances:
    return replace(SAFE, process=replace(SAFE.process, **facts))


REFUSED = [
    ("assertions", with_process(is_optimized=True)),
    ("core dumps", with_process(is_dumpable=True)),
    ("core dumps", with_process(core_bytes_max=-1)),
    ("core dumps", with_process(core_bytes_max=1)),
    ("swap", with_process(is_swap_on=True, is_memory_locked=False)),
    ("plaintext", replace(SAFE, host="0.0.0.0")),
    ("plaintext", replace(SAFE, host="::")),
    ("plaintext", replace(SAFE, host="vault.example")),
    ("key-encryption key", replace(SAFE, kek_problem="It can be read by others.")),
    ("ring", replace(SAFE, ring_problem="It lies in the data directory.")),
    ("schema", replace(SAFE, schema_problem="It is newer.")),
    ("vault", replace(SAFE, vault_problem="It is sealed.")),
    ("storage", replace(SAFE, storage_problems=("synchronous is not FULL",))),
]
WARNED = [
    ("ring tag", replace(SAFE, ring_is_tagged=False)),
    ("ring volume", replace(SAFE, ring_shares_volume=True)),
    ("storage advice", replace(SAFE, storage_advice=("data_checksums is off",))),
    ("security codes", replace(SAFE, keeps_cvc=True)),
    ("user", with_process(is_root=True)),
]


def test_a_safe_machine_has_nothing_to_say() -> None:
    """Section 4.9: nothing is refused without a reason."""
    assert {finding.verdict for finding in findings(SAFE)} == {Verdict.OK}


@pytest.mark.parametrize(("name", "seen"), REFUSED)
def test_each_danger_stops_the_start(name: str, seen: Circumstances) -> None:
    """Section 4.9: each fact alone is refused, under its name, with a reason and a remedy."""
    (refusal,) = refusals(findings(seen))
    assert refusal.name == name
    assert refusal.why
    assert refusal.remedy


@pytest.mark.parametrize(("name", "seen"), WARNED)
def test_each_weakness_is_named_without_stopping(name: str, seen: Circumstances) -> None:
    """Section 4.9: `doctor` shows what an operator should mend."""
    found = {finding.name: finding for finding in findings(seen)}
    assert found[name].verdict is Verdict.WARNING
    assert found[name].why
    assert found[name].remedy
    assert not refusals(tuple(found.values()))


def test_every_row_has_a_case_here() -> None:
    """Section 4.9: a row added to the table without a test fails here."""
    assert {finding.name for finding in findings(SAFE)} == {name for name, _ in REFUSED + WARNED}


@pytest.mark.parametrize(
    "seen",
    [
        with_process(is_swap_on=True),
        replace(SAFE, host="0.0.0.0", has_tls=True),
        replace(SAFE, host="::1"),
        replace(SAFE, host="127.8.8.8"),
        replace(SAFE, host="localhost"),
    ],
)
def test_what_is_safe_in_its_circumstances_is_let_through(seen: Circumstances) -> None:
    """Section 4.9: swap with locked memory, TLS off loopback and plaintext on it are fine."""
    assert not refusals(findings(seen))


PROGRAM = """
import resource, sys
from farebox.adapters.hardening import harden, observe_process
# A caller's limit of 0 would hide that `harden` sets one.
_, hard = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
if sys.argv[1] == "harden":
    harden()
seen = observe_process()
print(seen.is_dumpable, seen.core_bytes_max, seen.is_optimized)
"""


def observe(step: str, *flags: str) -> str:
    command = [sys.executable, *flags, "-c", PROGRAM, step]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_a_hardened_process_writes_no_core_and_cannot_be_traced() -> None:
    """Section 3.6: no exit for memory; the unhardened process beside it shows that the look is real."""
    assert observe("harden") == "False 0 False"
    assert observe("leave").startswith("True ")


MEMORY = """
import os, resource, sys
from farebox.adapters import hardening
class Recorder:
    locks = 0
    def prctl(self, *arguments): return real.prctl(*arguments)
    def mlockall(self, flags):
        self.locks += 1
        return real.mlockall(flags)
real, recorder = hardening._libc, Recorder()
hardening._libc = recorder
hardening.observe_process()  # loads what another user may not read from root's home
if sys.argv[1] == "limited":
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.geteuid() == 0:
        os.setuid(65534)  # root may lock beyond any limit
allowed = hardening._may_lock_memory()
hardening.harden()
print(allowed, hardening.observe_process().is_memory_locked, recorder.locks)
"""


def run_memory(step: str) -> tuple[str, ...]:
    command = [sys.executable, "-c", MEMORY, step]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return tuple(done.stdout.split())


def test_memory_is_locked_where_that_is_allowed() -> None:
    """Section 3.6: keys do not reach swap."""
    assert run_memory("as it is") in {("True", "True", "1"), ("False", "False", "0")}


def test_memory_is_not_locked_under_a_limit() -> None:
    """A limit that lets the first lock pass would turn a later allocation into an out-of-memory error."""
    assert run_memory("limited") == ("False", "False", "0")


def test_optimised_python_is_seen() -> None:
    """Section 4.9: `python -O` takes out the assertions that guard invariants."""
    assert observe("harden", "-O") == "False 0 True"


def test_paths_on_one_file_system_share_a_snapshot(tmp_path: Path) -> None:
    """Section 3.3: the ring is kept out of snapshots; a path need not exist yet."""
    assert shares_volume(tmp_path / "data", tmp_path / "deep" / "ring")
    assert not shares_volume(tmp_path / "data", Path("/proc/none"))
