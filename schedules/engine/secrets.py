"""References to secrets (``env:NAME``, ``file:/run/secrets/x``), and the values that a log must never show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings


class SecretMissing(ValueError):
    """A reference that names nothing."""


def resolve(reference: str) -> str:
    """The value behind a reference. Raises :class:`SecretMissing`, which names the reference only."""
    kind, _, name = reference.partition(":")
    value = os.environ.get(name, "") if kind == "env" else _read(Path(name))
    if not value:
        raise SecretMissing(f"The secret reference {reference!r} names nothing that this process can read.")
    return value


def known_secrets(references: Mapping[str, str]) -> list[str]:
    """What to mask in a log: an agent's secrets and our own S3 and session keys."""
    found = [settings.WATCHBILL.s3.secret_access_key, settings.SECRET_KEY]
    for reference in references.values():
        try:
            found.append(resolve(reference))
        except SecretMissing:
            continue
    return found


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
