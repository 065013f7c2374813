"""References to secrets (``env:NAME``, ``file:/run/secrets/x``), and the values that a log must never show."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from django.conf import settings

# A secret is a line or a key file; whatever is larger is a mistake, and must not be read into memory.
LARGEST = 64 * 1024


class SecretMissing(ValueError):
    """A reference that names nothing this process can read as a secret."""


def resolve(reference: str) -> str:
    """The value behind a reference. Raises :class:`SecretMissing`, which names the reference only."""
    kind, _, name = reference.partition(":")
    value = os.environ.get(name, "") if kind == "env" else _read(name)
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


def _read(name: str) -> str:
    """A small regular file's text; anything else (a FIFO would hang, /dev/zero never ends) is nothing."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            return ""
        return file.read(LARGEST).decode(errors="ignore").strip()
