"""A disk whose power can be cut: an SQLite VFS that knows which writes were synced and which were not.

What a cut leaves of the unsynced writes is up to the disk: all of them, none, any subset, or one of them torn
in the middle. `image` gives such a state of every file, as bytes to open with an ordinary VFS.
"""

from __future__ import annotations

import random  # noqa: TID251  # a seeded choice of what the disk kept
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import apsw

SECTOR = 512


@dataclass
class Disk:
    """One file as the disk has it for certain, and what was written since the last sync."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Offset and bytes; no bytes is a truncation to that length."""

    def sync(self) -> None:
        for write in self.pending:
            apply(self.durable, *write)
        self.pending.clear()

    def after_cut(self, chance: random.Random) -> bytes:
        """Choose what the disk kept of the writes that nobody waited for."""
        content = bytearray(self.durable)
        mode = chance.choice(("none", "all", "subset", "torn"))
        writes = list(self.pending)
        if mode == "none":
            writes = []
        elif mode == "subset":
            writes = [write for write in writes if chance.random() < 0.5]
        elif mode == "torn" and writes:
            writes = writes[: chance.randrange(len(writes)) + 1]
            offset, data = writes[-1]
            if data is not None:
                kept = chance.randrange(len(data) // SECTOR + 1) * SECTOR
                writes[-1] = (offset, data[:kept])
        for write in writes:
            apply(content, *write)
        return bytes(content)


def apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if data is None:
        del content[offset:]
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class PowerCutVfs(apsw.VFS):
    """Passes everything on to the real file system, and keeps the books of what is durable."""

    def __init__(self, name: str, on_write: Callable[[], None]) -> None:
        self.disks: dict[str, Disk] = {}
        self.on_write = on_write
        super().__init__(name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802  # SQLite's name
        return _File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        self.disks.pop(filename, None)
        super().xDelete(filename, syncdir)

    def image(self, chance: random.Random) -> dict[str, bytes]:
        """Give what a cut at this moment leaves of every file."""
        return {path: disk.after_cut(chance) for path, disk in self.disks.items()}


class _File(apsw.VFSFile):
    def __init__(self, vfs: PowerCutVfs, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._vfs = vfs
        self._disk = vfs.disks.setdefault(path, Disk()) if path else Disk()
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self._disk.pending.append((offset, bytes(data)))
        self._vfs.on_write()

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self._disk.pending.append((newsize, None))

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._vfs.on_write()
        super().xSync(flags)
        self._disk.sync()
