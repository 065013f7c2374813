"""Archives in words."""

from __future__ import annotations

from pathlib import Path

from backups.models import Backup


def place_of(backup: Backup) -> str:
    """Where it lies: a path, or an S3 address."""
    if backup.storage == Backup.Storage.S3:
        return f"s3://{backup.root}/{backup.prefix}{backup.name}"
    return str(Path(backup.root) / backup.prefix / backup.name)
