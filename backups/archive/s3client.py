"""The one door to S3: a bounded client whose failures are this package's errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backups.archive import errors
from backups.archive.background import Background
from backups.archive.settings import S3Settings
from backups.archive.stores import nothing

CONNECT_TIMEOUT = 5
READ_TIMEOUT = 60
ATTEMPTS = 3

_TAKEN = {"PreconditionFailed", "ConditionalRequestConflict"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage"}
_MISSING = {"NoSuchKey", "404"}
_REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}


class S3Client:
    """``call`` runs one operation on the bucket of ``settings``. Thread-safe."""

    def __init__(self, settings: S3Settings) -> None:
        settings.require_keys()
        self.settings = settings
        self._client = _connect(settings)

    def call(self, operation: str, *, on_wait: Callable[[], None] = nothing, **params: Any) -> dict[str, Any]:
        return self.start(operation, **params).wait(on_wait)

    def start(self, operation: str, **params: Any) -> Background[dict[str, Any]]:
        return Background(lambda: self._request(operation, params))

    def _request(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(Bucket=self.settings.bucket, **params)
        except Exception as error:
            raise translate(error, self.settings) from error
        return answer

    def close(self) -> None:
        self._client.close()


def _connect(settings: S3Settings) -> Any:
    # Imported here: half a second and 30 MB that a folder store need not pay.
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        # Many servers that speak S3 do not know the newer checksums; ours is a SHA-256 of the whole archive.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if settings.endpoint_url else "auto"},
    )
    try:
        return boto3.session.Session().client(
            "s3",
            endpoint_url=settings.endpoint_url or None,
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            region_name=settings.region,
            config=config,
        )
    except Exception as error:
        raise translate(error, settings) from error


def translate(error: Exception, settings: S3Settings) -> errors.ArchiveError:
    """The family's error for whatever boto3 raised. Names the endpoint, never a key."""
    from botocore import exceptions  # noqa: PLC0415

    if isinstance(error, errors.ArchiveError):
        return error
    if isinstance(error, exceptions.ClientError):
        return _answered(error, settings)
    if isinstance(error, (exceptions.ConnectionError, exceptions.HTTPClientError, OSError)):
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
    code = str(error.response.get("Error", {}).get("Code", "")) or str(status)
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
    return _by_status(status, code, settings)


def _by_status(status: int, code: str, settings: S3Settings) -> errors.ArchiveError:
    place, bucket = settings.place, settings.bucket
    if status in {401, 403} or code in _REFUSED:
        return errors.S3RefusedError(
            f"S3 at {place} refuses ({code}). Either the keys are wrong (check S3_ACCESS_KEY_ID and "
            f"S3_SECRET_ACCESS_KEY) or the policy of the bucket '{bucket}' does not allow it.",
        )
    if status == 501:  # noqa: PLR2004 - HTTP's "not implemented"
        return errors.S3UnsupportedError(f"S3 at {place} does not support this request ({code}).")
    return errors.S3FailedError(
        f"S3 at {place} answered {status} {code}. Nothing was published: try again later, and check "
        "S3_REGION if it stays so.",
    )
