"""An organisation's jobs and calendars made equal to a reviewed document."""

from __future__ import annotations

from django.db import transaction

from fleet.actors import Actor
from fleet.errors import Conflict
from fleet.models import Organisation
from schedules.exchange import Document, Plan, Refused, plan
from schedules.exchange.references import reference_problems
from schedules.services.exchange.executing import Execution
from schedules.services.exchange.standing import rows_of, standing, with_agents


@transaction.atomic(durable=True)
def plan_apply(*, organisation: Organisation, actor: Actor, document: Document, prune: bool = False) -> Plan:
    """What :func:`apply` would do. It is tried and undone, so that a plan that is told is one that can be carried out.

    Raises :class:`Refused` with everything that is wrong, line by line.
    """
    planned = _carried_out(organisation=organisation, actor=actor, document=document, prune=prune)
    transaction.set_rollback(True)
    return planned


@transaction.atomic(durable=True)
def apply(*, organisation: Organisation, actor: Actor, document: Document, agreed: Plan, prune: bool = False) -> Plan:
    """Carry out the plan that was agreed to, in one transaction: all of it or nothing.

    Raises :class:`Conflict` when the plan would be another one by now, since somebody else changed a job, a calendar
    or an agent meanwhile: their edit is not overwritten unseen.
    """
    return _carried_out(organisation=organisation, actor=actor, document=document, prune=prune, agreed=agreed)


def _carried_out(
    *, organisation: Organisation, actor: Actor, document: Document, prune: bool, agreed: Plan | None = None
) -> Plan:
    rows = rows_of(organisation, lock=True)
    now, wanted = standing(rows), with_agents(document, rows)
    problems = [*wanted.problems, *reference_problems(now=now, wanted=wanted, prune=prune)]
    # A job that could not be read is not one that is missing.
    planned = plan(now=now, wanted=wanted, prune=prune and not problems)
    if agreed is not None and not problems and planned != agreed:
        raise Conflict(
            "Nothing was applied: jobs or calendars were changed since this plan was made. "
            "`manage.py job apply FILE --dry-run` shows the new one."
        )
    execution = Execution(organisation=organisation, actor=actor, rows=rows, wanted=wanted)
    execution.run(planned)
    if problems := execution.all_problems(problems):
        raise Refused(problems, headline="Nothing was applied.")
    return planned
