"""What S3 answers, in this package's errors."""

from __future__ import annotations

from typing import Any

from backups.archive import errors
from backups.archive.settings import S3Settings

_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}
_MISSING = {"NoSuchKey", "404"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
#: Answers that another try, a little later, may not get again.
_CUT = "an answer that was cut off"
_BUSY_STATUS = {408, 429, 500, 502, 503, 504}
_BUSY = {"SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "Throttling", "BadDigest", _CUT}


class S3BusyError(errors.S3FailedError):
    """A failure that passes: too many requests, an internal error, a part that arrived damaged."""


class S3RangeError(errors.S3FailedError):
    """Asked for bytes behind the end of an object."""


class ArchiveLockedError(errors.ArchiveError):
    """An object lock keeps the archive; nobody can delete it before its time."""

    code = "archive_locked"
    retryable = False


def is_transient(error: BaseException) -> bool:
    """Whether to ask again at once; the run's own retries come after minutes."""
    return isinstance(error, (S3BusyError, errors.S3UnreachableError))


def translate(error: Exception, settings: S3Settings) -> errors.ArchiveError:
    """The family's error for whatever boto3 raised. Names the endpoint, never a key."""
    from botocore import exceptions  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    if isinstance(error, errors.ArchiveError):
        return error
    if isinstance(error, exceptions.ClientError):
        return _answered(error, settings)
    broken = (exceptions.ConnectionError, exceptions.HTTPClientError, exceptions.IncompleteReadError, OSError)
    # An answer that is cut off is no XML any more.
    if isinstance(error, (*broken, ResponseParserError)):
        return errors.S3UnreachableError(
            f"S3 at {settings.place} cannot be reached ({type(error).__name__}). Nothing was published: "
            "check S3_ENDPOINT_URL, the network and that the server runs, then try again.",
        )
    # botocore's own text may name the endpoint, which may hold a password.
    text = str(error).replace(settings.endpoint_url or settings.place, settings.place)
    return errors.S3FailedError(
        f"S3 at {settings.place} failed: {type(error).__name__}: {text}. Check S3_ENDPOINT_URL and S3_REGION.",
    )


def _answered(error: Any, settings: S3Settings) -> errors.ArchiveError:
    """An answer of the server that is not a success."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    said = error.response.get("Error", {})
    code = str(said.get("Code", "")) or str(status)
    if code == "404" and error.operation_name != "HeadObject":
        code = _CUT  # only a HEAD has no text to say what is missing; of this one it did not arrive
    place, bucket = settings.place, settings.bucket
    if code == "NoSuchBucket":
        return errors.BucketMissingError(
            f"The bucket '{bucket}' does not exist at {place}. Create it, or name another with S3_BUCKET.",
        )
    if code == "NoSuchUpload":
        return errors.UploadGoneError(f"The upload was ended at {place} by someone else. Try again.")
    if code in _TAKEN:
        return errors.NameTakenError(f"An archive of that name is already in the bucket '{bucket}' at {place}.")
    if code in _MISSING:
        return errors.ArchiveMissingError(f"The bucket '{bucket}' at {place} holds no such archive.")
    if code in _FULL:
        return errors.DiskFullError(
            f"S3 at {place} has no room left ({code}). Nothing was published: free some space there, then try again.",
        )
    return _by_status(status, code, str(said.get("Message", "")), settings)


def _by_status(status: int, code: str, message: str, settings: S3Settings) -> errors.ArchiveError:
    place, bucket = settings.place, settings.bucket
    if status in {401, 403} or code in _REFUSED:
        return errors.S3RefusedError(
            f"S3 at {place} refuses ({code}). Either the keys are wrong (check S3_ACCESS_KEY_ID and "
            f"S3_SECRET_ACCESS_KEY) or the policy of the bucket '{bucket}' does not allow it.",
        )
    if status == 501:  # noqa: PLR2004 - HTTP's "not implemented"
        return errors.S3UnsupportedError(f"S3 at {place} does not support this request ({code}).")
    if code.startswith("KMS."):
        return errors.S3RefusedError(
            f"S3 at {place} cannot use the key '{settings.sse_kms_key_id}' ({code}: {message[:200]}). Check "
            "S3_SSE_KMS_KEY_ID and that these keys may use it.",
        )
    return _kind(status, code)(
        f"S3 at {place} answered {status} {code}. Nothing was published: try again later, and check "
        "S3_REGION if it stays so.",
    )


def _kind(status: int, code: str) -> type[errors.S3FailedError]:
    if code in {"InvalidRange", "416"}:
        return S3RangeError
    return S3BusyError if status in _BUSY_STATUS or code in _BUSY else errors.S3FailedError
