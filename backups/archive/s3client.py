"""The one door to S3: a bounded client whose failures are this package's errors."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from backups.archive.s3errors import translate
from backups.archive.s3retry import ONCE, Flight, Retry
from backups.archive.settings import S3Settings
from backups.archive.stores import nothing

T = TypeVar("T")

#: Connections that are kept: for the parts of two uploads and questions beside them.
_CONNECTIONS = 10


class S3Client:
    """``call`` runs one operation on the bucket of ``settings``, again where a failure passes. Thread-safe."""

    def __init__(self, settings: S3Settings, *, retry: Retry | None = None, client: Any = None) -> None:
        settings.require_keys()
        self.settings = settings
        self._retry = retry or Retry()
        self._client = client or _connect(settings)

    def call(self, operation: str, *, on_wait: Callable[[], None] = nothing, **params: Any) -> dict[str, Any]:
        return self.run(lambda: self._request(operation, params), on_wait)

    @property
    def direct(self) -> S3Client:
        """The same with one try, for those who have retries of their own: they would multiply."""
        return S3Client(self.settings, retry=ONCE, client=self._client)

    def ask(self, operation: str, **params: Any) -> dict[str, Any]:
        """One try in this thread: to be used in an action of :meth:`run` or :meth:`start`."""
        return self._request(operation, params)

    def run(self, action: Callable[[], T], on_wait: Callable[[], None] = nothing) -> T:
        """A few requests that belong together, all again where one of them fails in passing."""
        return self.start(action).wait(on_wait)

    def start(self, action: Callable[[], T]) -> Flight[T]:
        return Flight(action, self._retry)

    def fetch(self, key: str, most: int, *, on_wait: Callable[[], None] = nothing) -> bytes:
        """The start of a small object."""
        return self.run(lambda: self._fetch(key, most), on_wait)

    def _fetch(self, key: str, most: int) -> bytes:
        answer = self._request("get_object", {"Key": key})
        data = b""
        with contextlib.closing(answer["Body"]) as body:
            try:
                # To its very end, where botocore compares the length: half a checksum would look like none.
                while len(data) < most and (more := body.read(most - len(data))):
                    data += more
            except Exception as error:
                raise translate(error, self.settings) from error
        return data

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
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        max_pool_connections=_CONNECTIONS,
        # Ours (s3retry) know what may be repeated: a create whose answer is lost would leave an upload behind.
        retries={"mode": "standard", "total_max_attempts": 1},
        # Many servers that speak S3 do not know the newer checksums; ours is a SHA-256 of the whole archive.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        # Content-MD5 is among what is signed, so that it vouches for the body: a SHA-256 of it as well was a
        # fifteenth of all the work.
        s3={"addressing_style": "path" if settings.endpoint_url else "auto", "payload_signing_enabled": False},
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
