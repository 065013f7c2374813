"""System checks: a wrong environment is seen at the start, not at 02:00."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Error, register

from schedules.executors.registry import QUEUES, DuplicateExecutor, executors


@register()
def check_secret_key(**_: Any) -> list[CheckMessage]:
    """With several web processes a random key logs everybody out at each request."""
    if settings.SECRET_KEY_IS_RANDOM and settings.DATABASES["default"]["ENGINE"].endswith("postgresql"):
        return [
            Error(
                "SECRET_KEY is not set, and DATABASE_URL names a production database.",
                hint="Set SECRET_KEY (or SECRET_KEY_FILE) to 50 random characters and keep it.",
                id="watchbill.E001",
            )
        ]
    return []


@register()
def check_redis_url(**_: Any) -> list[CheckMessage]:
    scheme = urlsplit(settings.WATCHBILL.redis_url).scheme
    if scheme in {"redis", "rediss", "unix"}:
        return []
    hint = "For example redis://127.0.0.1:6379/0 or unix:///run/redis.sock?db=0."
    return [Error(f"REDIS_URL has the scheme {scheme!r}, which is not Redis.", hint=hint, id="watchbill.E002")]


@register()
def check_executors(**_: Any) -> list[CheckMessage]:
    try:
        found = executors()
    except DuplicateExecutor as error:
        return [Error(f"Two executors have one key: {error}", id="watchbill.E003")]
    return [
        Error(f"{key} runs on the queue {executor.queue!r}, which no worker serves.", id="watchbill.E004")
        for key, executor in found.items()
        if executor.queue not in QUEUES
    ]


@register()
def check_leases(**_: Any) -> list[CheckMessage]:
    """A lease of less than three heartbeats calls a busy worker dead; of two or less, every worker stops its work."""
    lease, beat = settings.WATCHBILL.lease_seconds, settings.WATCHBILL.heartbeat_seconds
    text = f"LEASE_SECONDS={lease:g} is less than three times HEARTBEAT_SECONDS={beat:g}."
    if lease <= 2 * beat:
        # A worker gives up one heartbeat before its lease is over, and renews once in a heartbeat.
        hint = "A worker could not renew in time and would stop all its work: raise LEASE_SECONDS."
        return [Error(text, hint=hint, id="watchbill.E005")]
    if lease < 3 * beat:
        return [
            checks.Warning(text, hint="Live workers may be taken for lost; raise LEASE_SECONDS.", id="watchbill.W001")
        ]
    return []
