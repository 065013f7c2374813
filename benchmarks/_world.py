"""Many schedules, written by one statement each: what a service would write, copied with what differs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.db.models import Model, QuerySet

    from schedules.models import Run, Schedule

FAR = "0 0 1 1 *"


def clone(template: Model, count: int, **values: str) -> None:
    """So many copies of a row. ``values`` are SQL for the columns that differ; ``i`` counts from 1 in it."""
    from django.db import connection

    columns = [str(field.column) for field in template._meta.concrete_fields if not field.primary_key]
    selected = [values.get(column, f't."{column}"') for column in columns]
    quoted = ", ".join(f'"{column}"' for column in columns)
    sql = f"""
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
        INSERT INTO {template._meta.db_table} ({quoted})
        SELECT {", ".join(selected)} FROM n, {template._meta.db_table} t WHERE t.id = {template.pk}
    """
    with connection.cursor() as cursor:
        cursor.execute(sql)


def populate(*, schedules: int, organisations: int, executor: str = "test.noop", **values: str) -> QuerySet[Schedule]:
    """Schedules that fire far from now, spread evenly over organisations whose limits are not what is measured."""
    from django.db import connection

    from fleet.actors import Actor
    from fleet.models import Organisation
    from schedules.models import Schedule
    from schedules.services.schedules import schedule_create

    template = Organisation.objects.get(slug="main")
    Organisation.objects.filter(pk=template.pk).update(max_concurrent_runs=100_000)
    template.refresh_from_db()
    clone(template, organisations, slug="'org' || i", name="'Organisation ' || i")
    first = Organisation.objects.order_by("pk").exclude(pk=template.pk).values_list("pk", flat=True)[0]
    actor = Actor.command("benchmark")
    made = schedule_create(organisation=template, actor=actor, name="template", executor=executor, expression=FAR)
    clone(made, schedules, organisation_id=f"{first} + i % {organisations}", name="'job' || i", **values)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # autovacuum would, within a minute
    return Schedule.objects.exclude(pk=made.pk)


def make_due(schedules: QuerySet[Schedule], at: datetime, **changes: Any) -> int:
    """Their next fire is at this whole second, and the one after it a day later."""
    from django.db.models import F

    expression = f"{at.second} {at.minute} {at.hour} * * *"
    before = at - timedelta(seconds=1)
    return schedules.order_by().update(
        expression=expression, planned_through=before, next_run_at=at, version=F("version") + 1, **changes
    )


def end(runs: QuerySet[Run], status: str = "success") -> None:
    """Over, whatever they were: their slots are the caller's to free."""
    from django.utils.timezone import now

    runs.update(status=status, admission_token="", admitted_at=None, claim_token="", handle={}, finished_at=now())
