"""Where S3 is, how to sign for it, and how what is put there is protected."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from backups.archive.errors import S3KeysMissingError

DEFAULT_BUCKET = "backups"
DEFAULT_REGION = "us-east-1"
DEFAULT_KEEP = 5

MIB = 1024 * 1024
#: Server-side encryption as S3 names it; empty: what the bucket does by default.
AES256, KMS = "AES256", "aws:kms"
SSE = ("", AES256, KMS)
GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
LOCK_MODES = ("", GOVERNANCE, COMPLIANCE)
#: S3 takes up to a hundred years.
MOST_LOCK_DAYS = 36_500


@dataclass(frozen=True, kw_only=True)
class S3Settings:
    """An empty ``endpoint_url`` means Amazon's own. Nothing secret shows in a ``repr``.

    ``sse`` and ``object_lock_*`` are carried by every object that an upload makes; an ``aws:kms`` without a
    ``sse_kms_key_id`` takes the account's own key. Time-outs are seconds, ``part_size`` is bytes: S3 takes
    5 MiB and more, and the memory that an upload needs is four parts.
    """

    endpoint_url: str = field(default="", repr=False)
    access_key_id: str = field(default="", repr=False)
    secret_access_key: str = field(default="", repr=False)
    bucket: str = DEFAULT_BUCKET
    region: str = DEFAULT_REGION
    sse: str = ""
    sse_kms_key_id: str = ""
    object_lock_mode: str = ""
    object_lock_days: int = 0
    connect_timeout: float = 5
    read_timeout: float = 60
    part_size: int = 8 * MIB

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


#: ``S3_SSE`` and so on.
PROTECTION = ("sse", "sse_kms_key_id", "object_lock_mode", "object_lock_days")


def protection_fault(*, sse: str, sse_kms_key_id: str, object_lock_mode: str, object_lock_days: str) -> str:
    """What is wrong with these four values of the environment, with the variable's name; empty when nothing is."""
    return _sse_fault(sse, sse_kms_key_id) or _lock_fault(object_lock_mode, object_lock_days)


def _sse_fault(sse: str, key: str) -> str:
    if sse not in SSE:
        return f"S3_SSE is {sse!r}: give {AES256} or {KMS}, or leave it out for what the bucket does by itself."
    if key and sse != KMS:
        return f"S3_SSE_KMS_KEY_ID is {key!r}, but S3_SSE is {sse!r}: give S3_SSE={KMS}, or leave the key id out."
    return ""


def _lock_fault(mode: str, days: str) -> str:
    if mode not in LOCK_MODES:
        return f"S3_OBJECT_LOCK_MODE is {mode!r}: give {GOVERNANCE} or {COMPLIANCE}, or leave it out for no lock."
    if mode and not days:
        return (
            f"S3_OBJECT_LOCK_DAYS is '', but S3_OBJECT_LOCK_MODE is {mode!r}: give the days that archives stay locked."
        )
    if days and not (days.isascii() and days.isdigit() and 1 <= int(days[:9]) <= MOST_LOCK_DAYS):
        return f"S3_OBJECT_LOCK_DAYS is {days!r}: give a whole number from 1 to {MOST_LOCK_DAYS}, such as 30."
    if days and not mode:
        return f"S3_OBJECT_LOCK_DAYS is {days!r}, but S3_OBJECT_LOCK_MODE is '': give {GOVERNANCE} or {COMPLIANCE}."
    return ""
