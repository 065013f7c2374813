"""Where S3 is and how to sign for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from backups.archive.errors import S3KeysMissingError

DEFAULT_BUCKET = "backups"
DEFAULT_REGION = "us-east-1"
DEFAULT_KEEP = 5


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """An empty ``endpoint_url`` means Amazon's own. Nothing secret shows in a ``repr``."""

    endpoint_url: str = field(default="", repr=False)
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    bucket: str = DEFAULT_BUCKET
    region: str = DEFAULT_REGION

    @property
    def configured(self) -> bool:
        return bool(self.access_key_id and self.secret_access_key)

    def require_keys(self) -> None:
        names = {
            "S3_ACCESS_KEY_ID (or AWS_ACCESS_KEY_ID)": self.access_key_id,
            "S3_SECRET_ACCESS_KEY (or AWS_SECRET_ACCESS_KEY)": self.secret_access_key,
        }
        missing = [name for name, value in names.items() if not value]
        if missing:
            raise S3KeysMissingError(
                f"S3 keys are missing: {' and '.join(missing)} not set in the environment. "
                "Without them S3 takes nothing: set them where this command runs, then try again.",
            )

    @property
    def place(self) -> str:
        """The endpoint for people: without a user and password that someone put into the URL."""
        if not self.endpoint_url:
            return f"Amazon S3 ({self.region})"
        parts = urlsplit(self.endpoint_url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
