"""The names of archives: ``workspace_YYYYMMDD_HHMMSS.tar.gz`` in UTC, so that they sort by age."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from backups.archive.errors import ArchiveMissingError

CHECKSUM_SUFFIX = ".sha256"
#: The folder at the top of every archive.
TOP = "workspace"
_PATTERN = re.compile(r"workspace_[0-9]{8}_[0-9]{6}\.tar\.gz")


def archive_name(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):workspace_%Y%m%d_%H%M%S}.tar.gz"


def is_archive_name(name: str) -> bool:
    return _PATTERN.fullmatch(name) is not None


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
