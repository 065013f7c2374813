"""Keys of archives: for whom they are encrypted, and what reads them again. The format is ``backups.archive``'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings

from backups.archive.encryption import DecryptingReader, EncryptingSink, key_id
from backups.archive.errors import IdentityMissingError
from backups.archive.naming import ENCRYPTED_SUFFIX
from backups.archive.stores import Readable, nothing


@dataclass(frozen=True, kw_only=True)
class Recipient:
    """``sink`` is None, and ``key_id`` empty, where nothing is encrypted."""

    key_id: str = ""
    sink: Callable[[Callable[[bytes], None]], EncryptingSink] | None = None


def recipient_of(text: str | None, on_wait: Callable[[], None] = nothing) -> Recipient:
    """Whom to encrypt for: a recipient of age, ``none``, or None for what BACKUP_RECIPIENT says.

    A recipient is public: it stands in payloads and settings as it is. Raises an ``ArchiveError`` for what is none.
    """
    wanted = settings.WATCHBILL.backup_recipient if text is None else text
    if wanted in {"", "none"}:
        return Recipient()
    return Recipient(key_id=key_id(wanted), sink=lambda sink: EncryptingSink(sink, [wanted], on_wait=on_wait))


def decrypted_for(
    name: str, encrypted_for: str, on_wait: Callable[[], None] = nothing
) -> Callable[[Readable], Readable] | None:
    """What makes an archive of the stream that is stored under this name; None where it is stored as it is.

    Raises ``IdentityMissingError`` when nobody here can read it.
    """
    if not name.endswith(ENCRYPTED_SUFFIX):
        return None
    identity = settings.WATCHBILL.backup_identity
    if not identity:
        whom = f" for {encrypted_for}" if encrypted_for else ""
        raise IdentityMissingError(
            f"{name} is encrypted{whom} and this watch has no identity to read it. Name the file "
            "that holds it in BACKUP_IDENTITY_FILE, or decrypt the archive with `age -d` where it is.",
        )
    return lambda stream: DecryptingReader(stream, identity, encrypted_for=encrypted_for, on_wait=on_wait)
