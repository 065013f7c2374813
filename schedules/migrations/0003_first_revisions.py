"""Each schedule's timing as it is becomes its first revision; a paused one's fires are covered by an open span."""

from django.db import migrations


def write_ledger(apps, schema_editor):
    schedule_model = apps.get_model("schedules", "Schedule")
    revision_model = apps.get_model("schedules", "ScheduleRevision")
    span_model = apps.get_model("schedules", "SkipSpan")
    for schedule in schedule_model.objects.iterator():
        fields = ("expression", "timezone", "name", "anchor_at")
        values = {field: getattr(schedule, field) for field in fields}
        revision_model.objects.create(schedule=schedule, since=schedule.planned_through, **values)
        if not schedule.enabled and schedule.kind != "manual":
            span_model.objects.create(
                schedule=schedule,
                reason="paused",
                detail=schedule.paused_reason,
                # The nominal fire is found when the span is closed; every one after this instant is covered.
                first_fire_at=schedule.planned_through,
            )


class Migration(migrations.Migration):
    dependencies = [("schedules", "0002_time_and_truth")]

    operations = [migrations.RunPython(write_ledger, migrations.RunPython.noop)]
