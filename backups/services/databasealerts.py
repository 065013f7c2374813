"""What people hear of an agent's databases: that one is damaged, or that it grows as it should not."""

from __future__ import annotations

import hashlib

from fleet.models import Organisation
from monitoring.services import alert_raise, alert_resolve
from schedules.engine.storable import storable

_LONGEST = 200


def database_damaged(*, organisation_id: int, agent: str, path: str, problem: str) -> None:
    """``path`` is below the agent's folder. ``problem`` says what to do next."""
    alert_raise(
        organisation=Organisation.objects.get(pk=organisation_id),
        key=_key("database.damaged", agent, path),
        severity="critical",
        title=_title(f"The database {path} of {agent} is damaged"),
        detail=storable(problem),
    )


def database_sound(*, organisation_id: int, agent: str, path: str) -> None:
    alert_resolve(organisation=Organisation.objects.get(pk=organisation_id), key=_key("database.damaged", agent, path))


def database_grows(*, organisation_id: int, agent: str, path: str, told: str) -> None:
    """More than was allowed. ``told``: how much, and what to look at."""
    alert_raise(
        organisation=Organisation.objects.get(pk=organisation_id),
        key=_key("database.growth", agent, path),
        severity="warning",
        title=_title(f"The database {path} of {agent} grows fast"),
        detail=storable(told),
    )


def database_grows_not(*, organisation_id: int, agent: str, path: str) -> None:
    alert_resolve(organisation=Organisation.objects.get(pk=organisation_id), key=_key("database.growth", agent, path))


def _key(kind: str, agent: str, path: str) -> str:
    """A path may be longer than a key: then its hash tells it from others that begin alike."""
    key = storable(f"{kind}:{agent}:{path}")
    if len(key) <= _LONGEST:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{key[: _LONGEST - len(digest) - 1]}:{digest}"


def _title(text: str) -> str:
    return storable(text)[:_LONGEST]
