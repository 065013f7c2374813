"""An archive that is only a file: no record, no watch, no database."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from backups.archive.encryption import DecryptingReader
from backups.archive.errors import IdentityMissingError
from backups.archive.naming import ENCRYPTED_SUFFIX, TOP, kind_of
from backups.archive.stores import Readable
from backups.encryption import decrypted_for
from fleet.errors import InvalidInput, NotFound


def file_named(text: str) -> Path:
    path = Path(text)
    if path.exists() and not path.is_file():
        raise InvalidInput(f"{text} is no file, but a folder or a device.", field="file")
    if not path.is_file():
        raise NotFound(f"There is no file {text}.", field="file")
    return path


def kind_of_file(path: Path) -> str:
    """By its name, as far as it has one of ours."""
    return kind_of(path.name) or "workspace"


def top_of_file(path: Path) -> str:
    """Archives of workspaces have one folder at their top, the others none."""
    return TOP if kind_of_file(path) == "workspace" else ""


def decrypted_file(path: Path, identity: str | None) -> Callable[[Readable], Readable] | None:
    """``identity``: a file that holds one; else BACKUP_IDENTITY. Raises an ``ArchiveError`` or :class:`NotFound`."""
    if identity is None:
        try:
            return decrypted_for(path.name, "")
        except IdentityMissingError as error:
            raise InvalidInput(f"{path.name} is encrypted: name the file of its identity with --identity.") from error
    try:
        text = Path(identity).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"The identity {identity} can't be read: {error.strerror}.", field="identity") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{identity} holds no identity: that is a line of text that begins with AGE-SECRET-KEY-1.", field="identity"
        ) from error
    if not path.name.endswith(ENCRYPTED_SUFFIX):
        return None
    return lambda stream: DecryptingReader(stream, text)
