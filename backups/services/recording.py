"""Writing down what was archived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from backups.archive.backup import Made
from backups.archive.naming import stamp_of
from backups.archive.stores import Store
from backups.models import Backup
from backups.places import Place
from backups.retention.rules import Rules
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Whose archive it is, and of what."""

    organisation_id: int
    agent_id: int
    agent: str
    kind: str
    source: str
    in_container: bool = False
    schedule: str = ""
    job_run_id: str = ""


@transaction.atomic(durable=True)
def backup_record(
    *, origin: Origin, place: Place, made: Made, began_at: datetime, rules: Rules, **values: Any
) -> Backup:
    """An archive that is complete in its place. ``values``: further fields (``details``, ``key_id``).

    An organisation or an agent that was removed meanwhile loses its archive's record no more than its archive.
    """
    packed = made.packed
    return _create(
        origin,
        place,
        began_at=began_at,
        name=made.name,
        retention=rules.model_dump(exclude_defaults=True),
        size=made.size,
        sha256=made.sha256,
        entries=packed.entries,
        tree_bytes=packed.read,
        skipped=packed.skipped,
        changed=packed.changed,
        fingerprint=made.fingerprint,
        **values,
    )


def backup_found(*, origin: Origin, place: Place, name: str, store: Store) -> Backup | None:
    """Record an archive that is complete in its place and has no record: whoever made it died in between. None: it is
    not there, or is known. The re-check reads it first of all."""
    stored = next((archive for archive in store.archives() if archive.name == name), None)
    rows = Backup.objects.filter(storage=place.storage, root=place.root, prefix=place.prefix, name=name)
    if stored is None or rows.exists():
        return None
    began = stamp_of(name) or stored.modified
    with transaction.atomic(durable=True):
        return _create(origin, place, began_at=began, name=name, size=stored.size, sha256=store.checksum(name) or "")


def _create(origin: Origin, place: Place, *, began_at: datetime, **values: Any) -> Backup:
    organisation = Organisation.objects.get(pk=origin.organisation_id)
    return Backup.objects.create(
        organisation=organisation,
        agent=Agent.objects.of(organisation).filter(pk=origin.agent_id).first(),
        agent_slug=origin.agent,
        schedule_name=origin.schedule,
        job_run_id=origin.job_run_id,
        kind=origin.kind,
        source=origin.source,
        in_container=origin.in_container,
        storage=place.storage,
        root=place.root,
        prefix=place.prefix,
        tier=place.tier,
        began_at=began_at,
        still_at=began_at,
        created_at=database_now(),
        **values,
    )


def backup_unchanged(
    *,
    origin: Origin,
    place: Place,
    fingerprint: str,
    key_id: str = "",
    at: datetime,
    is_there: Callable[[Backup], bool],
) -> Backup | None:
    """The newest archive of this source and place, if it is good and still holds what is there; it is told so then.

    ``at``: when the fingerprint was begun. ``is_there``: asks the store.
    """
    newest = _newest(origin, place) if fingerprint else None
    if newest is None or (newest.fingerprint, newest.key_id) != (fingerprint, key_id):
        return None
    if not is_there(newest):
        return None
    good = Backup.objects.filter(pk=newest.pk, state=Backup.State.VERIFIED)
    return newest if good.update(still_at=at) else None


def _newest(origin: Origin, place: Place) -> Backup | None:
    same = Backup.objects.there().filter(
        organisation_id=origin.organisation_id,
        agent_slug=origin.agent,
        kind=origin.kind,
        source=origin.source,
        in_container=origin.in_container,
        # Another job's archive goes by that job's rules of keeping.
        schedule_name=origin.schedule,
        is_adopted=False,
        prefix=place.prefix,
    )
    where = ~Q(tier="") if place.tier else Q(tier="", storage=place.storage, root=place.root)
    return same.filter(where).order_by("-began_at").first()
