"""The names of archives: ``workspace_YYYYMMDD_HHMMSS.tar.gz`` in UTC, so that those of one kind sort by age."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from backups.archive.errors import ArchiveMissingError

CHECKSUM_SUFFIX = ".sha256"
#: What an encrypted archive's name ends in, as the program ``age`` has it.
ENCRYPTED_SUFFIX = ".age"
#: The folder at the top of an archive of a workspace; other kinds have none.
TOP = "workspace"
#: How the names of a kind begin: the seeds' own spelling. Another kind has its own name and a low line.
PREFIXES = {"workspace": "workspace_", "database": "backup-"}
_PATTERN = re.compile(r"(?P<prefix>[a-z][a-z0-9]{0,31}[_-])(?P<stamp>[0-9]{8}_[0-9]{6})\.tar\.gz(?:\.age)?")


def prefix_of(kind: str) -> str:
    return PREFIXES.get(kind, f"{kind}_")


def archive_name(moment: datetime, kind: str = "workspace", *, is_encrypted: bool = False) -> str:
    suffix = ENCRYPTED_SUFFIX if is_encrypted else ""
    return f"{prefix_of(kind)}{moment.astimezone(UTC):%Y%m%d_%H%M%S}.tar.gz{suffix}"


def is_archive_name(name: str) -> bool:
    return _PATTERN.fullmatch(name) is not None


def kind_of(name: str) -> str:
    """The kind that a name tells; empty for what is no archive's name."""
    match = _PATTERN.fullmatch(name)
    if match is None:
        return ""
    prefix = match["prefix"]
    return next((kind for kind, known in PREFIXES.items() if known == prefix), prefix[:-1])


def stamp_of(name: str) -> datetime | None:
    """When the archive was begun, by its name; None for what is no moment."""
    try:
        return datetime.strptime(stamp_text(name), "%Y%m%d_%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def stamp_text(name: str) -> str:
    """``20260225_083812``; empty for what is no archive's name."""
    match = _PATTERN.fullmatch(name)
    return match["stamp"] if match else ""


def newest_first(name: str) -> tuple[str, str]:
    """A key to sort names by, to be reversed: by age, whatever their kind."""
    return stamp_text(name), name


def require_archive_name(name: str) -> str:
    """Refuse anything else before it becomes part of a path or of a key."""
    if not is_archive_name(name):
        raise ArchiveMissingError(
            f"'{name}' is not the name of an archive: they look like workspace_20260225_083812.tar.gz "
            "(list them to see which there are).",
        )
    return name


def checksum_line(name: str, sha256: str) -> bytes:
    """One line as ``sha256sum`` writes it, so that ``sha256sum -c`` reads it."""
    return f"{sha256}  {name}\n".encode()


def parse_checksum(content: bytes) -> str | None:
    """The digest of a checksum file; None when it does not hold one."""
    match = re.match(rb"([0-9a-fA-F]{64})\b", content)
    return match[1].decode().lower() if match else None
