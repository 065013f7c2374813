"""An agent's SQLite databases back from an archive (seed 002): stopped, exchanged, owned as they should be, started."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from backups.archive.extract import Parts
from backups.models import Backup
from backups.restoring import RestoreExecutor, unstamped


class DatabaseRestore(RestoreExecutor):
    """Puts the archived databases in the place of the agent's own; what SQLite keeps beside these goes with them."""

    key: ClassVar[str] = "database.restore"
    title: ClassVar[str] = "Restore of an agent's SQLite databases"
    kind: ClassVar[str] = "database"

    def renamed(self, backup: Backup) -> Callable[[Parts], Parts]:
        return unstamped(backup)
