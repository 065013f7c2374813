"""The only reader of the environment.

A running watch leaves what it chose (Redis socket, embedded S3, secret key) in ``<data>/watch.env``; real
environment variables win over it. So ``manage.py`` in a second terminal finds the running watch by itself.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

# Importing it pins time-zone data to the tzdata package: before any app lists the zones of the host.
import schedules.timing.zones  # noqa: F401
from backups.archive.settings import S3Settings

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
DATA_DIR = Path(env.str("WATCHBILL_DATA", default=str(BASE_DIR / "var"))).resolve()


def read_watch_env() -> None:
    """Take over what the running watch chose. An unreadable file is another user's watch: leave it alone."""
    path = DATA_DIR / "watch.env"
    try:
        readable = path.is_file()
    except PermissionError:
        return
    if readable:
        environ.Env.read_env(path)


read_watch_env()


@dataclass(frozen=True, kw_only=True)
class WatchbillSettings:
    """What the apps below may know of the environment; they read it as ``settings.WATCHBILL``."""

    data_dir: Path
    redis_url: str
    docker_host: str
    s3: S3Settings
    backup_root: Path
    backup_keep: int
    retry_delays: tuple[int, ...]
    retry_jitter: float
    recovery_grace_seconds: int
    lease_seconds: float
    heartbeat_seconds: float
    unclaimed_seconds: float
    tick_seconds: float
    leader_seconds: float
    drain_seconds: float
    log_limit_bytes: int
    worker_slots: int
    flower_url: str


def database() -> dict[str, Any]:
    """SQLite in the data folder unless ``DATABASE_URL`` names another database."""
    config: dict[str, Any] = env.db_url("DATABASE_URL", default=f"sqlite:///{DATA_DIR}/watchbill.sqlite3")
    if config.get("ENGINE", "").rpartition(".")[2] not in {"sqlite3", "postgresql"}:
        raise ImproperlyConfigured(
            "DATABASE_URL names no database that Watchbill knows. Name PostgreSQL "
            "(postgres://user:password@127.0.0.1:5432/watchbill) or leave it out for SQLite in the data folder."
        )
    if config["ENGINE"].endswith("sqlite3"):
        # Tests run in memory, as with Django's own engine, whose name their runner looks for.
        return config | {"ENGINE": "config.sqlite3", "OPTIONS": sqlite_options(), "TEST": {"NAME": ":memory:"}}
    # Kept connections: Celery's fixup would otherwise open a session for each task (2.3 times the cost).
    # Time-outs, since a connection that went dead silently must not hang a heartbeat for longer than a lease.
    options = {"connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "tcp_user_timeout": 8000}
    given: dict[str, Any] = config.get("OPTIONS", {})
    return config | {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True, "OPTIONS": options | given}


def sqlite_options() -> dict[str, Any]:
    """IMMEDIATE: a deferred transaction that turns into a writer fails at once instead of waiting its turn."""
    return {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000;",
    }


def s3() -> S3Settings:
    """The S3 that backups go to; without an endpoint and keys, no S3 is configured."""
    return S3Settings(
        endpoint_url=env.str("S3_ENDPOINT_URL", default=""),
        access_key_id=env.str("S3_ACCESS_KEY_ID", default=env.str("AWS_ACCESS_KEY_ID", default="")),
        secret_access_key=env.str("S3_SECRET_ACCESS_KEY", default=env.str("AWS_SECRET_ACCESS_KEY", default="")),
        bucket=env.str("S3_BUCKET", default="backups"),
        region=env.str("S3_REGION", default="us-east-1"),
    )


def watchbill() -> WatchbillSettings:
    """Every tunable of the product, with its default."""
    is_sqlite = database()["ENGINE"].endswith("sqlite3")
    return WatchbillSettings(
        data_dir=DATA_DIR,
        redis_url=env.str("REDIS_URL", default="redis://127.0.0.1:6379/0"),
        docker_host=env.str("DOCKER_HOST", default=""),
        s3=s3(),
        backup_root=Path(env.str("BACKUP_ROOT", default=str(DATA_DIR / "backups"))),
        backup_keep=env.int("BACKUP_KEEP", default=5),
        retry_delays=tuple(env.list("RETRY_DELAYS", cast=int, default=[30, 60, 300, 900, 3600])),
        retry_jitter=env.float("RETRY_JITTER", default=0.1),
        recovery_grace_seconds=env.int("RECOVERY_GRACE_SECONDS", default=60),
        lease_seconds=env.float("LEASE_SECONDS", default=20.0),
        heartbeat_seconds=env.float("HEARTBEAT_SECONDS", default=2.0 if is_sqlite else 5.0),
        unclaimed_seconds=env.float("UNCLAIMED_SECONDS", default=20.0),
        tick_seconds=env.float("TICK_SECONDS", default=0.5),
        leader_seconds=env.float("LEADER_SECONDS", default=10.0),
        drain_seconds=env.float("DRAIN_SECONDS", default=45.0),
        log_limit_bytes=env.int("LOG_LIMIT_BYTES", default=5_000_000),
        worker_slots=env.int("WORKER_SLOTS", default=8),
        flower_url=env.str("FLOWER_URL", default=""),
    )


def secret_key() -> str:
    """A random key where none is given: sessions then end with the process (a system check says so)."""
    key: str = env.str("SECRET_KEY", default="")
    return key or secrets.token_urlsafe(48)


def broker_url(redis_url: str) -> str:
    """Celery writes a socket's address in its own way: ``redis+socket:///path?virtual_host=0``."""
    if not redis_url.startswith("unix://"):
        return redis_url
    path, _, query = redis_url.removeprefix("unix://").partition("?")
    number = query.partition("db=")[2] or "0"
    return f"redis+socket://{path}?virtual_host={number}"
