"""What can go wrong with a database. Each message names the file, what it means and the way out."""

from __future__ import annotations

from backups.archive.errors import ArchiveError, DiskFullError, EndedEarlyError, PlaceRefusedError


class DatabaseMissingError(ArchiveError):
    code = "database_missing"
    retryable = False


class NotADatabaseError(ArchiveError):
    """Not SQLite's format, or encrypted, which looks the same."""

    code = "not_a_database"
    retryable = False


class DatabaseDamagedError(ArchiveError):
    code = "database_damaged"
    retryable = False


class DatabaseUnreadableError(ArchiveError):
    code = "database_unreadable"
    retryable = False


class DatabaseBusyError(ArchiveError):
    """Locked for longer than we wait, or never at rest."""

    code = "database_busy"


class DatabaseSwappedError(ArchiveError):
    """What SQLite opened is not what was looked at: replaced in between, by accident or on purpose."""

    code = "database_swapped"


class MaintenanceRefusedError(ArchiveError):
    """Nothing was changed, since it could harm the agent or us."""

    code = "maintenance_refused"
    retryable = False


class RecoveryFailedError(ArchiveError):
    code = "recovery_failed"
    retryable = False


class WorkCrashedError(ArchiveError):
    """The child process died: killed, out of memory, or SQLite stumbled over a hostile file."""

    code = "sqlite_crashed"


class OtherWayError(ArchiveError):
    """Between a child and its parent only: this way of copying does not fit, the other one may."""

    code = "other_way"


#: How a child process names what it raised.
BY_CODE: dict[str, type[ArchiveError]] = {
    kind.code: kind
    for kind in (
        DatabaseBusyError,
        DatabaseDamagedError,
        DatabaseMissingError,
        DatabaseSwappedError,
        DatabaseUnreadableError,
        DiskFullError,
        EndedEarlyError,
        MaintenanceRefusedError,
        NotADatabaseError,
        OtherWayError,
        PlaceRefusedError,
        RecoveryFailedError,
    )
}
