"""Archives that were made without us (the SOP's ``s3 backup`` in a container, seed 002's ``backup.sh``): found in
their place, recorded, and from then on treated as ours are."""

from __future__ import annotations

import contextlib
from pathlib import Path

from django.db import IntegrityError, transaction

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

#: By kind, as the seeds have it: the SOP keeps five, Portagent thirty days.
_RULES = {"workspace": Rules(last=5), "database": Rules(days=30)}


def archives_adopt(*, agent: Agent, place: Place, actor: Actor) -> list[Backup]:
    """Record the archives in this place that nobody has recorded yet, as this agent's. They are not verified yet.

    Only the operator of the host says whose a place is: by its name alone a tenant could reach another's. Raises
    :class:`NotAllowed`, or an ``ArchiveError``.
    """
    if not actor.reaches_host:
        raise NotAllowed(
            "Only the operator of this host can say whose archives lie in a place: manage.py backup adopt."
        )
    with contextlib.closing(place.store()) as store:
        return [
            backup
            for archive in reversed(store.archives())
            if not _is_known(place, archive.name) and (backup := _adopt(agent, place, archive, store, actor))
        ]


def adopted_again() -> int:
    """Look once more where archives were adopted before: whatever makes them goes on making them."""
    places = Backup.objects.filter(is_adopted=True, agent__isnull=False)
    known = places.order_by().values_list("agent", "storage", "root", "prefix").distinct()
    return sum(
        len(
            archives_adopt(
                agent=Agent.objects.select_related("organisation").get(pk=agent),
                place=Place(storage=storage, root=root, prefix=prefix),
                actor=Actor.system("housekeeping"),
            )
        )
        for agent, storage, root, prefix in known
    )


def _source(agent: Agent, kind: str) -> str:
    """Where it goes when it is restored: such an archive does not say where it came from."""
    if kind == "workspace":
        return agent.workspace_folder
    data = Path(agent.state_folder or "/") / "data"
    return str(data) if agent.state_folder and data.is_dir() else agent.state_folder


def _is_known(place: Place, name: str) -> bool:
    rows = Backup.objects.filter(storage=place.storage, root=place.root, prefix=place.prefix, name=name)
    return rows.exists()


def _adopt(agent: Agent, place: Place, archive: Stored, store: Store, actor: Actor) -> Backup | None:
    """None when somebody else was faster."""
    kind = kind_of(archive.name)
    began = stamp_of(archive.name) or archive.modified
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
