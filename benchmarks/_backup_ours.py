"""One piece of our work in a process of its own: ``_backup_ours.py TASK JSON``; prints what came of it as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

if TYPE_CHECKING:
    from backups.archive.stores import Store


def create(source: str, **where: Any) -> dict[str, Any]:
    """Into a folder, or streamed into S3."""
    from backups.archive.backup import Contents, make_archive
    from backups.archive.folder import open_folder, pack_folder

    contents = Contents(pack=lambda writer: pack_folder(open_folder(Path(source)), writer).value)
    made = make_archive(store_of(**where), contents)
    return {"name": made.name, "size": made.size, "fingerprint": made.fingerprint, "entries": made.packed.entries}


def verify(name: str, **where: Any) -> dict[str, Any]:
    """Every byte read back: the archive's SHA-256, gzip's sums, each file's SHA-256 against the manifest."""
    from backups.archive.naming import TOP
    from backups.archive.reading import Reading

    store = store_of(**where)
    with Reading(store.reader(name), top=TOP) as reading:
        for _ in reading:
            pass
        found = reading.found()
    assert found.manifest is not None
    assert found.sha256 == store.checksum(name)
    return {"entries": found.entries}


def restore(name: str, target: str, **where: Any) -> dict[str, Any]:
    from backups.archive.restore import Order
    from backups.archive.restore import restore as restored

    done = restored(store_of(**where), name, Order(target=Path(target)))
    assert done.verified
    return {"entries": done.entries}


def unchanged(source: str, fingerprint: str) -> dict[str, Any]:
    """Whether the workspace is what the last archive holds."""
    from backups.archive.folder import fingerprint_of, open_folder

    found = fingerprint_of(open_folder(Path(source))).value
    assert found
    return {"same": found == fingerprint}


def store_of(*, folder: str = "", s3: dict[str, Any] | None = None) -> Store:
    if s3 is None:
        from backups.archive.folderstore import FolderStore

        return FolderStore(Path(folder))
    from backups.archive.s3store import S3Store
    from backups.archive.settings import S3Settings

    return S3Store(S3Settings(**s3), "agent")


def peak_mb() -> float:
    """Of this program alone; ``ru_maxrss`` also counts the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


TASKS = {"create": create, "verify": verify, "restore": restore, "unchanged": unchanged}

if __name__ == "__main__":
    result = TASKS[sys.argv[1]](**json.loads(sys.argv[2]))
    print(json.dumps(result | {"peak_mb": peak_mb()}))
