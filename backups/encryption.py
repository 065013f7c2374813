"""Keys of archives: for whom they are encrypted, and what reads them again. The format is ``backups.archive``'s."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from backups.archive.encryption import DecryptingReader
from backups.archive.errors import IdentityMissingError
from backups.archive.naming import ENCRYPTED_SUFFIX
from backups.archive.stores import Readable, nothing


def decrypted_for(
    name: str, key_id: str, on_wait: Callable[[], None] = nothing
) -> Callable[[Readable], Readable] | None:
    """What makes an archive of the stream that is stored under this name; None where it is stored as it is.

    Raises ``IdentityMissingError`` when nobody here can read it.
    """
    if not name.endswith(ENCRYPTED_SUFFIX):
        return None
    identity = settings.WATCHBILL.backup_identity
    if not identity:
        raise IdentityMissingError(
            f"{name} is encrypted{f' for {key_id}' if key_id else ''} and this watch has no identity to read it. Name "
            "the file that holds it in BACKUP_IDENTITY_FILE, or decrypt the archive with `age -d` where it is.",
        )
    return lambda stream: DecryptingReader(stream, identity, encrypted_for=key_id, on_wait=on_wait)
