"""The only reader of the environment.

A running watch leaves what it chose (Redis socket, embedded S3, secret key) in ``<data>/watch.env``; real
environment variables win over it. So ``manage.py`` in a second terminal finds the running watch by itself.
"""

from __future__ import annotations

import ipaddress
import math
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

# Importing it pins time-zone data to the tzdata package: before any app lists the zones of the host.
import schedules.timing.zones  # noqa: F401
from backups.archive.settings import PROTECTION, S3Settings, protection_fault
from backups.retention.tiers import Tiers, read_tiers

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
DAY = 24 * 3600
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
    backup_tiers: Tiers
    backup_recipient: str
    backup_identity: str = field(repr=False)
    outgoing_allow: tuple[str, ...]
    probe_images: tuple[str, ...]
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
    options = {name: str(env.str(f"S3_{name.upper()}", default="")).strip() for name in PROTECTION}
    if fault := protection_fault(**options):
        raise ImproperlyConfigured(fault)
    return S3Settings(
        endpoint_url=env.str("S3_ENDPOINT_URL", default=""),
        access_key_id=env.str("S3_ACCESS_KEY_ID", default=env.str("AWS_ACCESS_KEY_ID", default="")),
        secret_access_key=env.str("S3_SECRET_ACCESS_KEY", default=env.str("AWS_SECRET_ACCESS_KEY", default="")),
        bucket=env.str("S3_BUCKET", default="backups"),
        region=env.str("S3_REGION", default="us-east-1"),
        sse=options["sse"],
        sse_kms_key_id=options["sse_kms_key_id"],
        object_lock_mode=options["object_lock_mode"],
        object_lock_days=int(options["object_lock_days"] or 0),
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
        backup_keep=_whole("BACKUP_KEEP", 5, least=1, most=1000),
        backup_tiers=_tiers(),
        backup_recipient=env.str("BACKUP_RECIPIENT", default="").strip(),
        backup_identity=env.str("BACKUP_IDENTITY", default="").strip(),
        outgoing_allow=_networks("OUTGOING_ALLOW"),
        probe_images=tuple(filter(None, map(str.strip, env.str("PROBE_IMAGES", default="").split(",")))),
        retry_delays=_delays(),
        retry_jitter=_number("RETRY_JITTER", 0.1, least=0, most=1),
        recovery_grace_seconds=_whole("RECOVERY_GRACE_SECONDS", 60, least=0, most=DAY),
        lease_seconds=_number("LEASE_SECONDS", 20.0, least=1, most=3600),
        heartbeat_seconds=_number("HEARTBEAT_SECONDS", 2.0 if is_sqlite else 5.0, least=0.1, most=1200),
        unclaimed_seconds=_number("UNCLAIMED_SECONDS", 20.0, least=1, most=3600),
        tick_seconds=_number("TICK_SECONDS", 0.5, least=0.05, most=5),
        leader_seconds=_number("LEADER_SECONDS", 10.0, least=1, most=3600),
        drain_seconds=_number("DRAIN_SECONDS", 45.0, least=0, most=DAY),
        log_limit_bytes=_whole("LOG_LIMIT_BYTES", 5_000_000, least=1000, most=10**10),
        worker_slots=_whole("WORKER_SLOTS", 8, least=1, most=256),
        flower_url=env.str("FLOWER_URL", default=""),
    )


def _number(name: str, default: float, *, least: float, most: float) -> float:
    """A variable as a number; an empty one counts as not given. django-environ reads "5m" as 5 and "1e9" as 19."""
    text: str = env.str(name, default="").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise ImproperlyConfigured(
            f"{name} is {text!r}: give a number from {least:g} to {most:g}, such as {default:g}."
        )
    return value


def _whole(name: str, default: int, *, least: int, most: int) -> int:
    text: str = env.str(name, default="").strip()
    if not text:
        return default
    if not re.fullmatch("[0-9]{1,12}", text) or not least <= int(text) <= most:
        raise ImproperlyConfigured(
            f"{name} is {text!r}: give a whole number from {least} to {most}, such as {default}."
        )
    return int(text)


def _networks(name: str) -> tuple[str, ...]:
    """Networks with commas between them."""
    found = tuple(part.strip() for part in env.str(name, default="").split(",") if part.strip())
    for network in found:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ImproperlyConfigured(f"{name} holds {network!r}: give networks such as 169.254.10.0/24.") from None
    return found


def _delays() -> tuple[int, ...]:
    text: str = env.str("RETRY_DELAYS", default="").strip() or "30,60,300,900,3600"
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,7}", part) for part in parts):
        raise ImproperlyConfigured(f"RETRY_DELAYS is {text!r}: give whole seconds with commas, such as 30,60,300.")
    return tuple(map(int, parts))


def _tiers() -> Tiers:
    """The ``storage`` of seed 001 §4, from the YAML file that BACKUP_STORAGE_FILE names; else the seed's defaults."""
    path: str = env.str("BACKUP_STORAGE_FILE", default="").strip()
    if not path:
        return Tiers()
    import yaml  # noqa: PLC0415 - a tenth of a second that few starts need

    try:
        document = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            raise ImproperlyConfigured(
                f"BACKUP_STORAGE_FILE: {path} holds {document!r}: give it the `storage` of docs/backups.md."
            )
        return read_tiers(document["storage"])
    except KeyError:
        raise ImproperlyConfigured(f"BACKUP_STORAGE_FILE: {path} has no `storage` at its top.") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ImproperlyConfigured(f"BACKUP_STORAGE_FILE: {path} can't be used: {error}") from error


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
