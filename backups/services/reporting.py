"""What could be brought back today: for each agent its newest good backup, its newest drill, and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max

from backups.models import Backup, Drill, Target
from fleet.actors import Actor
from fleet.audit import audit_record
from fleet.errors import InvalidInput
from fleet.models import Agent, Organisation
from schedules.engine.clock import database_now

#: A day, and two hours in which the nightly backup may be late.
RPO = timedelta(hours=26)
#: Seed 001 §5.2 warns of a restore of more than thirty seconds.
RTO = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One agent, kind of backup and what it is of; ``kind`` is empty for an agent without any.

    ``rpo`` is the age of what the newest verified backup holds: what would be lost today. ``rto`` is what its newest
    drill that worked took; None: never tried.
    """

    agent: str
    kind: str
    source: str
    verified: Backup | None
    drilled: Drill | None
    rpo: timedelta | None
    rto: timedelta | None
    rpo_target: timedelta
    rto_target: timedelta
    damaged: int

    @property
    def problems(self) -> list[str]:
        """What is not as it should be, in words."""
        found = []
        if self.rpo is None:
            found.append("no verified backup")
        elif self.rpo > self.rpo_target:
            found.append("the newest verified backup is too old")
        if self.rto is None:
            found.append("a restore was never tried")
        elif self.rto > self.rto_target:
            found.append("a restore takes too long")
        if self.damaged:
            found.append(f"{self.damaged} damaged")
        return found


def report(organisation: Organisation, *, agent: Agent | None = None) -> list[Line]:
    """A line for each agent, kind and source, in the order of their names."""
    agents = Agent.objects.of(organisation).order_by("slug").select_related("backup_target")
    now = database_now()
    chosen = agents.filter(pk=agent.pk) if agent else agents
    return [line for each in chosen for line in _lines(each, now)]


def _lines(agent: Agent, now: datetime) -> list[Line]:
    return [_line(agent, kind, source, now) for kind, source in sorted(_sources(agent)) or [("", "")]]


def _sources(agent: Agent) -> set[tuple[str, str]]:
    """Kinds and what is backed up: what each job and each place of adoption has archived last.

    What a person archived once by hand is nothing that should be young for ever, unless there is nothing else.
    """
    rows = Backup.objects.there().filter(organisation=agent.organisation_id, agent_slug=agent.slug)
    found = rows.values("kind", "schedule_name", "is_adopted", "source").annotate(last=Max("began_at"))
    newest: dict[tuple[str, str, bool], str] = {}
    for each in found.order_by("last"):
        newest[each["kind"], each["schedule_name"], each["is_adopted"]] = each["source"]
    lasting = {kind for kind, job, is_adopted in newest if job or is_adopted}
    return {
        (kind, source) for (kind, job, is_adopted), source in newest.items() if job or is_adopted or kind not in lasting
    }


def _line(agent: Agent, kind: str, source: str, now: datetime) -> Line:
    rows = Backup.objects.there().filter(
        organisation=agent.organisation_id, agent_slug=agent.slug, kind=kind, source=source
    )
    verified = rows.good().order_by("-still_at", "-began_at").first()
    drills = Drill.objects.filter(
        backup__organisation=agent.organisation_id,
        backup__agent_slug=agent.slug,
        backup__kind=kind,
        backup__source=source,
        is_ok=True,
    )
    drilled = drills.select_related("backup").first()
    target = getattr(agent, "backup_target", None)
    return Line(
        agent=agent.slug,
        kind=kind,
        source=source,
        verified=verified,
        drilled=drilled,
        rpo=now - verified.still_at if verified else None,
        rto=timedelta(seconds=drilled.seconds) if drilled else None,
        rpo_target=timedelta(seconds=target.rpo_seconds) if target else RPO,
        rto_target=timedelta(seconds=target.rto_seconds) if target else RTO,
        damaged=rows.filter(state=Backup.State.DAMAGED).count(),
    )


@transaction.atomic(durable=True)
def target_set(*, agent: Agent, rpo: timedelta, rto: timedelta, actor: Actor) -> Target:
    """What the report measures this agent by. Raises :class:`InvalidInput`."""
    for name, value in (("rpo", rpo), ("rto", rto)):
        if not timedelta(seconds=1) <= value <= timedelta(days=3660):
            raise InvalidInput(f"{name} must be from a second to ten years, not {value}.", field=name)
    values = {"rpo_seconds": int(rpo.total_seconds()), "rto_seconds": int(rto.total_seconds())}
    target, _ = Target.objects.update_or_create(agent=agent, defaults=values)
    audit_record(actor=actor, action="backup.target", subject=target, organisation=agent.organisation, after=values)
    return target
