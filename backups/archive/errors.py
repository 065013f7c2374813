"""What can go wrong with an archive. Each message says what happened, what it means and what to do next."""

from __future__ import annotations

import errno
from typing import ClassVar


class ArchiveError(Exception):
    """Base of the family. ``code`` is stable, ``retryable`` says whether trying again later can help."""

    code: ClassVar[str] = "archive_error"
    retryable: ClassVar[bool] = True


class SourceMissingError(ArchiveError):
    code = "workspace_missing"
    retryable = False


class SourceUnreadableError(ArchiveError):
    code = "workspace_unreadable"
    retryable = False


class SourceBrokenError(ArchiveError):
    """The source ended before it was whole; another try reads it anew."""

    code = "source_broken"


class SourceChangedError(ArchiveError):
    """It changed while it was read, and the caller wanted it whole."""

    code = "source_changed"


class PlaceRefusedError(ArchiveError):
    """A folder outside of what is allowed."""

    code = "place_refused"
    retryable = False


class S3KeysMissingError(ArchiveError):
    code = "s3_keys_missing"
    retryable = False


class S3RefusedError(ArchiveError):
    code = "s3_refused"
    retryable = False


class BucketMissingError(ArchiveError):
    code = "s3_bucket_missing"
    retryable = False


class S3UnreachableError(ArchiveError):
    code = "s3_unreachable"


class S3FailedError(ArchiveError):
    code = "s3_failed"


class S3UnsupportedError(ArchiveError):
    """The server does not know this kind of request."""

    code = "s3_unsupported"
    retryable = False


class UploadGoneError(ArchiveError):
    """An upload that someone else ended; another try starts a new one."""

    code = "s3_upload_gone"


class StoreFailedError(ArchiveError):
    """A folder store that cannot be read or written."""

    code = "store_failed"


class DiskFullError(ArchiveError):
    code = "disk_full"


class NameTakenError(ArchiveError):
    """Another archive has this name, or is just being written under it. The answer is another second."""

    code = "name_taken"


class ArchiveMissingError(ArchiveError):
    code = "archive_missing"
    retryable = False


class PathsMissingError(ArchiveError):
    """The archive is well, but does not hold what was asked for."""

    code = "paths_missing"
    retryable = False


class ArchiveDamagedError(ArchiveError):
    code = "archive_damaged"
    retryable = False


class ArchiveUnsafeError(ArchiveError):
    """An archive that would write outside of its folder, or far more than it should."""

    code = "archive_unsafe"
    retryable = False


class TargetNotEmptyError(ArchiveError):
    code = "target_not_empty"
    retryable = False


class RestoreBusyError(ArchiveError):
    """Another process restores the same folder."""

    code = "restore_busy"


class RestoreBrokenError(ArchiveError):
    """A former restore left what can't be settled without a person."""

    code = "restore_broken"
    retryable = False


class IdentityMissingError(ArchiveError):
    """It is encrypted and nobody gave what reads it."""

    code = "identity_missing"
    retryable = False


class EndedEarlyError(ArchiveError):
    """The work was asked to end."""

    code = "interrupted"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_disk_full(error: OSError) -> bool:
    return error.errno in _FULL


def store_error(error: OSError, folder: str) -> ArchiveError:
    """The family's error for an ``OSError`` met while writing to, or reading from, a folder of ours."""
    if is_disk_full(error):
        return DiskFullError(
            f"The disk that holds {folder} is full. Nothing was published and older archives are untouched: "
            "free some space or keep fewer archives, then try again.",
        )
    reason = error.strerror or str(error)
    return StoreFailedError(
        f"The folder {folder} cannot be used: {reason}. Check that it exists and may be written to.",
    )
