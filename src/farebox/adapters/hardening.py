"""What the process can do for itself so that memory does not leave it, and what it refuses to run with.

`harden` is called before a key is opened. `findings` is the table of security design §4.9 that `serve` and
`doctor` share: the one stops at a refusal, the other prints them all. It judges facts handed to it, so
every row can be tested without making the machine unsafe.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable, Sequence
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path

from farebox.domain.frozen import frozen

_libc = ctypes.CDLL(None, use_errno=True)

# Source: prctl(2) and mlockall(2), Linux.
_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_MCL_CURRENT = 1
_MCL_FUTURE = 2
_MCL_ONFAULT = 4
_CAP_IPC_LOCK = 1 << 14


class Verdict(StrEnum):
    """What a finding means for starting."""

    OK = "ok"
    WARNING = "warning"
    REFUSED = "refused"


@frozen
class Finding:
    """One row of `farebox doctor`. `why` and `remedy` are empty where all is well."""

    name: str
    verdict: Verdict
    why: str = ""
    remedy: str = ""


@frozen
class Process:
    """What this process is like after `harden`."""

    is_optimized: bool
    is_dumpable: bool
    core_bytes_max: int
    """Largest core dump the system would write; negative for no limit."""
    is_memory_locked: bool
    is_swap_on: bool
    is_root: bool


@frozen
class Circumstances:
    """All that the table judges. A `…_problem` is said by the adapter that knows; none when all is well."""

    process: Process
    host: str
    has_tls: bool
    keeps_cvc: bool
    kek_problem: str | None = None
    ring_problem: str | None = None
    ring_is_tagged: bool = True
    """`CACHEDIR.TAG` lies in the ring, so that backup programs leave it out."""
    ring_shares_volume: bool = False
    """Ring and data lie on one file system, so that one snapshot holds both."""
    schema_problem: str | None = None
    vault_problem: str | None = None
    storage_problems: tuple[str, ...] = ()
    storage_advice: tuple[str, ...] = ()


def harden() -> None:
    """Make core dumps, debuggers and swap unable to show this process's memory, as far as allowed.

    A process that is not dumpable writes no core, not even into a pipe, and only root may trace it. Memory is
    locked as it is touched, and only where no limit stands in the way: under a limit, locking what comes
    later would make allocations fail.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if _may_lock_memory():
        _libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT)


def _may_lock_memory() -> bool:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    capabilities = int(_own_status("CapEff"), 16)
    return soft == resource.RLIM_INFINITY or bool(capabilities & _CAP_IPC_LOCK)


def _own_status(field: str) -> str:
    for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return value.split()[0]
    return "0"


def observe_process() -> Process:
    """Look at this process and at what the machine would do with its memory."""
    core_bytes_max, _ = resource.getrlimit(resource.RLIMIT_CORE)
    swaps = Path("/proc/swaps").read_text(encoding="ascii", errors="replace").splitlines()
    return Process(
        is_optimized=sys.flags.optimize > 0,
        is_dumpable=_libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) != 0,
        core_bytes_max=core_bytes_max,
        is_memory_locked=int(_own_status("VmLck")) > 0,
        is_swap_on=len(swaps) > 1,
        is_root=os.geteuid() == 0,
    )


def shares_volume(one: Path, other: Path) -> bool:
    """Tell whether two paths, of which the last part may be missing, lie on one file system."""
    return _device(one) == _device(other)


def _device(path: Path) -> int:
    return next(place.stat().st_dev for place in (path, *path.parents) if place.exists())


@frozen
class _Check:
    """A row of the table: `look` gives what is wrong, or nothing."""

    name: str
    verdict: Verdict
    look: Callable[[Circumstances], str | None]
    remedy: str


def _when(holds: Callable[[Circumstances], bool], why: str) -> Callable[[Circumstances], str | None]:
    return lambda seen: why if holds(seen) else None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


_TABLE: Sequence[_Check] = (
    _Check(
        "assertions",
        Verdict.REFUSED,
        _when(lambda seen: seen.process.is_optimized, "Python runs with -O, which takes the assertions out."),
        "Start without -O and without PYTHONOPTIMIZE.",
    ),
    _Check(
        "core dumps",
        Verdict.REFUSED,
        _when(
            lambda seen: seen.process.is_dumpable or seen.process.core_bytes_max != 0,
            "A crash would write card numbers to disk, and a debugger could read them.",
        ),
        "Allow prctl(PR_SET_DUMPABLE), or set the limit of core dumps to 0.",
    ),
    _Check(
        "swap",
        Verdict.REFUSED,
        _when(
            lambda seen: seen.process.is_swap_on and not seen.process.is_memory_locked,
            "Swap is on and memory is not locked, so keys and card numbers can reach the disk.",
        ),
        "Switch swap off, or raise the limit of locked memory (LimitMEMLOCK=infinity).",
    ),
    _Check(
        "plaintext",
        Verdict.REFUSED,
        _when(
            lambda seen: not seen.has_tls and not _is_loopback(seen.host),
            "Card numbers would cross a network unencrypted.",
        ),
        "Set tls_cert and tls_key, or listen on 127.0.0.1.",
    ),
    _Check(
        "key-encryption key",
        Verdict.REFUSED,
        lambda seen: seen.kek_problem,
        "Keep it outside the data directory, with mode 0400, owned by the server's user.",
    ),
    _Check(
        "ring",
        Verdict.REFUSED,
        lambda seen: seen.ring_problem,
        "Set ring_dir to a directory of mode 0700 that is in no backup.",
    ),
    _Check(
        "ring tag",
        Verdict.WARNING,
        _when(
            lambda seen: not seen.ring_is_tagged,
            "CACHEDIR.TAG is missing, so a backup may take the ring along.",
        ),
        "Start the server once; it writes the tag.",
    ),
    _Check(
        "ring volume",
        Verdict.WARNING,
        _when(
            lambda seen: seen.ring_shares_volume,
            "Ring and data lie on one file system: a snapshot of it would keep erased keys alive.",
        ),
        "Put ring_dir on a volume that is never snapshotted.",
    ),
    _Check(
        "schema",
        Verdict.REFUSED,
        lambda seen: seen.schema_problem,
        "Run 'farebox db migrate', or install the Farebox that made it.",
    ),
    _Check(
        "vault",
        Verdict.REFUSED,
        lambda seen: seen.vault_problem,
        "Give the key-encryption key that wraps this database's keys, and the database that belongs to it.",
    ),
    _Check(
        "storage",
        Verdict.REFUSED,
        lambda seen: "; ".join(seen.storage_problems) or None,
        "Restore the named durability settings and the clock.",
    ),
    _Check(
        "storage advice",
        Verdict.WARNING,
        lambda seen: "; ".join(seen.storage_advice) or None,
        "Stop PostgreSQL and run 'pg_checksums --enable'.",
    ),
    _Check(
        "security codes",
        Verdict.WARNING,
        _when(
            lambda seen: seen.keeps_cvc,
            "keep_cvc_after_verification is on: a security code outlives the first answer (PCI DSS 3.3.1).",
        ),
        "Switch it off unless this is an issuer's system.",
    ),
    _Check(
        "user",
        Verdict.WARNING,
        _when(lambda seen: seen.process.is_root, "The server runs as root."),
        "Give it a user of its own.",
    ),
)


def findings(seen: Circumstances) -> tuple[Finding, ...]:
    """Judge every row of the table."""
    found: list[Finding] = []
    for check in _TABLE:
        why = check.look(seen)
        found.append(
            Finding(check.name, Verdict.OK)
            if why is None
            else Finding(check.name, check.verdict, why, check.remedy)
        )
    return tuple(found)


def refusals(found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Give the findings that a server must not start with."""
    return tuple(finding for finding in found if finding.verdict is Verdict.REFUSED)
