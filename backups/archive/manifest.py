"""What an archive says of itself: its last entry, one JSON object a line, so that neither side holds it in memory.

The first line is about the archive, each further one about an entry, in the archive's order; the last one counts them
and tells what is not as it was found (``docs/backups.md`` lists the fields).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from json.encoder import encode_basestring_ascii as _quoted
from typing import IO, Any

from backups.archive.errors import ArchiveDamagedError
from backups.archive.heads import Head

FORMAT = 1
#: Its name at the top of every archive.
NAME = "watchbill-manifest.jsonl"
#: Beyond this it goes to a file without a name.
_IN_MEMORY = 4 * 1024**2
#: No line of ours is longer: two names of 4 KiB, each byte escaped, and small change.
MOST_LINE = 128 * 1024


def spool() -> IO[bytes]:
    """A file without a name, in memory while it is small. Its owner closes it."""
    return tempfile.SpooledTemporaryFile(_IN_MEMORY)


def tool() -> str:
    """What made an archive."""
    try:
        return f"watchbill {metadata.version('watchbill')}"
    except metadata.PackageNotFoundError:
        return "watchbill"


@dataclass(frozen=True, kw_only=True)
class About:
    """``kind``: what was archived: ``workspace``, ``database``, ``archive``. ``key_id``: for whom it is encrypted."""

    name: str = ""
    kind: str = "workspace"
    organisation: str = ""
    agent: str = ""
    source: str = ""
    key_id: str = ""


class ManifestWriter:
    """Takes the entries as they are archived."""

    def __init__(self, about: About) -> None:
        self._file = spool()
        self.size = 0
        self._object("archive", {"format": FORMAT, **asdict(about), "began_at": _now(), "tool": tool()})

    def entry(self, line: bytes) -> None:
        self.size += len(line)
        self._file.write(line)

    def end(self, **values: Any) -> None:
        self._object("end", {**values, "ended_at": _now()})

    def content(self) -> IO[bytes]:
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        self._file.close()

    def _object(self, name: str, value: dict[str, Any]) -> None:
        self.entry(json.dumps({name: value}).encode() + b"\n")


def entry_line(head: Head, sha256: str) -> bytes:
    """The line of one entry. A reader makes the same one of what it finds, so that lines can be compared."""
    size = f',"size":{head.size},"sha256":"{sha256}"' if head.kind == "file" else ""
    link = f',"link":{_quoted(head.link)}' if head.link else ""
    told = f'"path":{_quoted(head.name)},"type":"{head.kind}","mode":"{head.mode:04o}"{size}{link},"mtime":{head.mtime}'
    return f"{{{told}}}\n".encode()


def is_entry(line: bytes) -> bool:
    return line.startswith(b'{"path"')


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The first line and the last one, as whoever made the archive wrote them."""

    about: dict[str, Any]
    end: dict[str, Any]


def read_manifest(file: IO[bytes]) -> Manifest:
    """Without the entries. Raises ``ArchiveDamagedError`` for what is no manifest."""
    found: dict[str, dict[str, Any]] = {}
    while line := file.readline(MOST_LINE):
        if not is_entry(line):
            found |= {key: value for key, value in _object(line).items() if isinstance(value, dict)}
    if found.keys() != {"archive", "end"}:
        raise _damaged("it has no beginning or no end")
    return Manifest(about=found["archive"], end=found["end"])


def read_entries(file: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The entries as objects (``docs/backups.md`` lists their fields)."""
    while line := file.readline(MOST_LINE):
        if is_entry(line):
            yield _object(line)


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _damaged(str(error)) from error
    if not isinstance(value, dict):
        raise _damaged("a line is no object")
    return value


def _damaged(reason: str) -> ArchiveDamagedError:
    return ArchiveDamagedError(f"The archive's manifest can't be read: {reason}. Take another archive.")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
