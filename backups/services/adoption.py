"""Archives that were made without us (the SOP's ``s3 backup`` in a container, seed 002's ``backup.sh``): found in
their place, recorded, and from then on treated as ours are."""

from __future__ import annotations

import contextlib
import logging
from datetime import timedelta
from pathlib import Path

from django.db import IntegrityError, transaction

from backups.archive.errors import ArchiveError
from backups.archive.naming import kind_of, stamp_of
from backups.archive.stores import Store, Stored
from backups.models import Backup
from backups.places import Place
from backups.retention.rules import Rules
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import NotAllowed
from fleet.models import Agent
from schedules.engine.clock import database_now

logger = logging.getLogger(__name__)

#: By kind, as the seeds have it: the SOP keeps five, Portagent thirty days.
_RULES = {"workspace": Rules(last=5), "database": Rules(days=30)}


#: Nobody is there to look again at once.
_STILL = timedelta(minutes=10)


def archives_adopt(*, agent: Agent, place: Place, actor: Actor, still: timedelta = timedelta(0)) -> list[Backup]:
    """Record the archives in this place that nobody has recorded yet, as this agent's. They are not verified yet.

    ``still``: how long an archive must not have changed: the seeds' tools write to its final name.
    Only the operator of the host says whose a place is: by its name alone a tenant could reach another's. Raises
    :class:`NotAllowed`, or an ``ArchiveError``.
    """
    if not actor.reaches_host:
        raise NotAllowed(
            "Only the operator of this host can say whose archives lie in a place: manage.py backup adopt."
        )
    known = set(
        Backup.objects.filter(storage=place.storage, root=place.root, prefix=place.prefix).values_list(
            "name", flat=True
        )
    )
    with contextlib.closing(place.store()) as store:
        return [
            backup
            for archive in reversed(store.archives())
            if database_now() - archive.modified >= still
            and archive.name not in known
            and (backup := _adopt(agent, place, archive, store, actor))
        ]


def adopted_again() -> int:
    """Look once more where archives were adopted before: whatever makes them goes on making them."""
    places = Backup.objects.filter(is_adopted=True, agent__isnull=False)
    known = places.order_by().values_list("agent", "storage", "root", "prefix").distinct()
    adopted = 0
    for key, storage, root, prefix in known:
        agent = Agent.objects.select_related("organisation").get(pk=key)
        place = Place(storage=storage, root=root, prefix=prefix)
        try:
            found = archives_adopt(agent=agent, place=place, actor=Actor.system("housekeeping"), still=_STILL)
            adopted += len(found)
        except ArchiveError as error:
            logger.warning("%s/%s can't be looked at now: %s", root, prefix, error)
    return adopted


def _source(agent: Agent, kind: str) -> str:
    """Where it goes when it is restored: such an archive does not say where it came from."""
    if kind == "workspace":
        return agent.workspace_folder
    data = Path(agent.state_folder or "/") / "data"
    return str(data) if agent.state_folder and data.is_dir() else agent.state_folder


def _adopt(agent: Agent, place: Place, archive: Stored, store: Store, actor: Actor) -> Backup | None:
    """None when somebody else was faster."""
    kind = kind_of(archive.name)
    # A name that tells of tomorrow would be the newest for ever.
    began = min(stamp_of(archive.name) or archive.modified, database_now())
    sha256 = store.checksum(archive.name) or ""
    try:
        with transaction.atomic(durable=True):
            backup = Backup.objects.create(
                organisation=agent.organisation,
                agent=agent,
                agent_slug=agent.slug,
                kind=kind,
                is_adopted=True,
                has_manifest=False,
                name=archive.name,
                storage=place.storage,
                root=place.root,
                prefix=place.prefix,
                source=_source(agent, kind),
                retention=_RULES.get(kind, Rules()).model_dump(exclude_defaults=True),
                size=archive.size,
                sha256=sha256,
                began_at=began,
                still_at=began,
                created_at=database_now(),
            )
            audit_record(
                actor=actor,
                action="backup.adopt",
                subject=backup,
                organisation=agent.organisation,
                after={"place": f"{place.root}/{place.prefix}", "agent": agent.slug},
            )
    except IntegrityError:
        return None
    return backup
