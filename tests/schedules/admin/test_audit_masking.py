"""Values of ``docker exec -e`` are nobody's to read in the audit trail."""

from __future__ import annotations

from typing import Any

from fleet.models import AuditEntry
from schedules.models import Schedule
from schedules.services.schedules import schedule_delete, schedule_update
from tests.admin_fleet import SYSTEM, make


def command(token: str) -> dict[str, Any]:
    return {"command": f"docker exec -e TOKEN={token} night ls"}


def test_values_of_the_environment_stand_in_no_audit_row(fleet: dict[str, Any]) -> None:
    schedule = make(fleet["ours"], "With a token", payload=command("hunter2"))
    changed = schedule_update(schedule=schedule, actor=SYSTEM, payload=command("hunter3"))
    assert changed.payload == command("hunter3")
    schedule_delete(schedule=changed, actor=SYSTEM)
    trail = list(AuditEntry.objects.filter(object_name="with-a-token").order_by("pk"))
    assert [each.action for each in trail] == ["schedule.create", "schedule.update", "schedule.delete"]
    assert trail[0].after["payload"] == command("***")
    assert (trail[1].before, trail[1].after) == ({"payload": command("***")}, {"payload": command("***")})
    assert trail[2].before["payload"] == command("***")


def test_other_payloads_are_kept_as_they_are(fleet: dict[str, Any]) -> None:
    schedule = Schedule.objects.get(pk=fleet["schedule"].pk)
    entry = AuditEntry.objects.get(action="schedule.create", object_id=str(schedule.pk))
    assert entry.after["payload"] == schedule.payload
