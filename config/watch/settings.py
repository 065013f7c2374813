"""The launcher's reading of the environment. Everything else of the project reads ``config.env``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.watch.errors import LaunchError

HOST = "127.0.0.1"
DEFAULT_PORT = 8000
S3_KEYS = ("S3_ENDPOINT_URL", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "S3_BUCKET", "S3_REGION")


@dataclass(frozen=True, kw_only=True)
class Settings:
    project: Path
    data: Path
    port: int
    #: None: the default port, or the next free one.
    flower_port: int | None
    worker_slots: int
    #: Empty: the embedded Redis.
    redis_url: str
    #: Empty: SQLite in the data folder.
    database_url: str
    #: Empty: a random key, kept in the data folder.
    secret_key: str
    s3: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def has_own_s3(self) -> bool:
        """Whether the person named an S3. Amazon's needs no endpoint; a bucket's name alone names ours."""
        return bool(self.s3.get("S3_ENDPOINT_URL") or self.s3.get("S3_ACCESS_KEY_ID"))


def read(environ: Mapping[str, str], *, project: Path) -> Settings:
    """Read the environment; an empty value counts as not given."""
    return Settings(
        project=project,
        data=Path(environ.get("WATCHBILL_DATA") or project / "var").expanduser().resolve(),
        port=_port(environ, "PORT") or DEFAULT_PORT,
        flower_port=_port(environ, "FLOWER_PORT"),
        # Two slots keep web, beat, worker and Redis below 500 MB on an idle machine.
        worker_slots=_number(environ, "WORKER_SLOTS", low=1, high=256) or 2,
        redis_url=environ.get("REDIS_URL", ""),
        database_url=environ.get("DATABASE_URL", ""),
        secret_key=environ.get("SECRET_KEY", ""),
        s3={key: environ[key] for key in S3_KEYS if environ.get(key)},
    )


def _port(environ: Mapping[str, str], key: str) -> int | None:
    return _number(environ, key, low=1, high=65535)


def _number(environ: Mapping[str, str], key: str, *, low: int, high: int) -> int | None:
    text = environ.get(key, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise LaunchError(f"{key}={text} is not a number from {low} to {high}.")
    return int(text)
