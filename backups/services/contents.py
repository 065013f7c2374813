"""What is in an archive, by its manifest; and what differs between two, or between one and what is there now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backups.archive.contents import Contents, contents_of
from backups.archive.folder import Scope, open_folder, pack_folder
from backups.archive.manifest import is_entry
from backups.archive.stores import Hooks
from backups.archive.tarwriter import TarWriter
from backups.encryption import decrypted_for
from backups.models import Backup
from backups.places import Place
from backups.services.verification import top_of
from fleet.errors import InvalidInput

#: What makes two entries of one path the same.
_SAME = ("type", "size", "sha256", "link", "mode")
#: An entry's fields, as ``docs/backups.md`` lists them, by its path.
Entries = dict[str, dict[str, Any]]


def contents_read(backup: Backup) -> Contents:
    """Its manifest, read alone where it can be; the caller closes ``lines``. Raises an ``ArchiveError``."""
    with contextlib.closing(Place.of(backup).store()) as store:
        return contents_of(
            store,
            backup.name,
            size=backup.size,
            top=top_of(backup.kind),
            decrypted=decrypted_for(backup.name, backup.key_id),
        )


def entries_of(backup: Backup) -> Entries:
    """Raises an ``ArchiveError``."""
    contents = contents_read(backup)
    with contextlib.closing(contents.lines):
        return {entry["path"]: entry for entry in contents.entries()}


def entries_now(backup: Backup) -> Entries:
    """What an archive of the source would hold now: packed, and thrown away but for its manifest.

    Raises an ``ArchiveError``, and :class:`InvalidInput` for what can't be packed here.
    """
    if backup.in_container or backup.kind != "workspace":
        raise InvalidInput(
            "Only a workspace's folder on this host can be compared: name another backup.", field="other"
        )
    leave_out = frozenset(str(path) for path in backup.details.get("leave_out", []))
    found: Entries = {}
    with TarWriter(lambda _: None, Hooks()) as writer:
        scope = Scope(top=top_of(backup.kind), leave_out=leave_out)
        pack_folder(open_folder(Path(backup.source)), writer, scope)
        for line in writer.manifest_lines():
            if is_entry(line):
                entry = json.loads(line)
                found[entry["path"]] = entry
    return found


def changes(before: Entries, after: Entries) -> Iterator[tuple[str, str]]:
    """What became of each path that is not as it was: ``added``, ``removed``, ``changed``, ``mode``; and the path."""
    for path in sorted(before.keys() | after.keys()):
        if path not in after:
            yield "removed", path
        elif path not in before:
            yield "added", path
        elif changed := [name for name in _SAME if before[path].get(name) != after[path].get(name)]:
            yield ("mode" if changed == ["mode"] else "changed"), path


def former_of(backup: Backup) -> Backup | None:
    """The archive before it, of the same source."""
    older = Backup.objects.siblings(backup).filter(began_at__lt=backup.began_at)
    return older.order_by("-began_at").first()
