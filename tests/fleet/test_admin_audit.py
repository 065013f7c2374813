"""Changes of accounts, groups and housekeeping entries, which no service of ours makes, stand in the audit trail."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django_celery_beat.models import CrontabSchedule, IntervalSchedule, PeriodicTask

from fleet.models import AuditEntry
from tests.admin_fleet import ADDRESS

PASSWORD = "a-long-enough-Passphrase-7"


def trail(object_type: str) -> list[AuditEntry]:
    found = list(AuditEntry.objects.filter(object_type=object_type, actor="boss").order_by("pk"))
    assert all((each.address, each.organisation) == (ADDRESS, None) for each in found)
    return found


def user_form(**changes: Any) -> dict[str, Any]:
    joined = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    return {"username": "ann", "first_name": "", "last_name": "", "email": "", "is_active": "on"} | joined | changes


def test_an_account(boss: Client, fleet: dict[str, Any]) -> None:
    group = Group.objects.create(name="night shift")
    new = {"username": "ann", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    assert boss.post("/admin/auth/user/add/", new).status_code == 302
    ann = User.objects.get(username="ann")
    User.objects.update(date_joined="2026-01-01T00:00:00+00:00")  # the form knows whole seconds only
    url = f"/admin/auth/user/{ann.pk}/"
    assert boss.post(f"{url}change/", user_form(is_superuser="on", groups=[group.pk])).status_code == 302
    assert boss.post(f"{url}change/", user_form(is_superuser="on", groups=[group.pk])).status_code == 302  # the same
    again = {"password1": PASSWORD + "8", "password2": PASSWORD + "8", "usable_password": "true", "set-password": "1"}
    assert boss.post(f"{url}password/", again | {"password2": "other"}).status_code == 200
    assert boss.post(f"{url}password/", again).status_code == 302
    assert boss.post(f"{url}delete/", {"post": "yes"}).status_code == 302
    found = trail("user")
    assert [each.action for each in found] == ["user.create", "user.update", "user.password", "user.delete"]
    assert found[0].after["username"] == "ann"
    assert found[1].before == {"is_superuser": False, "groups": []}
    assert found[1].after == {"is_superuser": True, "groups": ["night shift"]}
    assert found[3].before["is_superuser"] is True
    text = json.dumps([[each.before, each.after] for each in found])
    assert "pbkdf2" not in text
    assert PASSWORD not in text
    assert {each.object_id for each in found} == {str(ann.pk)}


def test_a_group(boss: Client, fleet: dict[str, Any]) -> None:
    may = Permission.objects.get(codename="add_user")
    assert boss.post("/admin/auth/group/add/", {"name": "one"}).status_code == 302
    group = Group.objects.get()
    url = f"/admin/auth/group/{group.pk}/change/"
    assert boss.post(url, {"name": "one", "permissions": [may.pk]}).status_code == 302
    rows = {"action": "delete_selected", "_selected_action": [group.pk], "post": "yes"}
    assert boss.post("/admin/auth/group/", rows).status_code == 302
    found = trail("group")
    assert [each.action for each in found] == ["group.create", "group.update", "group.delete"]
    assert found[1].after == {"permissions": [str(may)]}
    assert not Group.objects.exists()


def test_a_housekeeping_entry(boss: Client, fleet: dict[str, Any]) -> None:
    hourly = IntervalSchedule.objects.create(every=1, period="hours")
    entry = {"name": "sweep", "task": "celery.backend_cleanup", "enabled": "on", "interval": hourly.pk}
    entry |= {"args": "[]", "kwargs": "{}", "headers": "{}"}
    assert boss.post("/admin/django_celery_beat/periodictask/add/", entry).status_code == 302
    task = PeriodicTask.objects.get(name="sweep")
    url = "/admin/django_celery_beat/periodictask/"
    assert boss.post(f"{url}{task.pk}/change/", entry | {"kwargs": '{"days": 3}'}).status_code == 302
    for action in ("disable_tasks", "enable_tasks", "toggle_tasks"):
        assert boss.post(url, {"action": action, "_selected_action": [task.pk]}).status_code == 302
    assert boss.post(f"{url}{task.pk}/delete/", {"post": "yes"}).status_code == 302
    found = trail("periodictask")
    assert [each.action.partition(".")[2] for each in found] == ["create", *["update"] * 4, "delete"]
    assert (found[1].before, found[1].after) == ({"kwargs": "{}"}, {"kwargs": '{"days": 3}'})
    assert [each.after for each in found[2:5]] == [{"enabled": False}, {"enabled": True}, {"enabled": False}]


def test_when_a_housekeeping_entry_is_due(boss: Client, fleet: dict[str, Any]) -> None:
    cron = CrontabSchedule.objects.create(minute="0", hour="4")
    fields = {"minute": "5", "hour": "4", "day_of_week": "*", "day_of_month": "*", "month_of_year": "*"}
    inline = {"periodictask_set-TOTAL_FORMS": "0", "periodictask_set-INITIAL_FORMS": "0"}
    url = f"/admin/django_celery_beat/crontabschedule/{cron.pk}/change/"
    assert boss.post(url, fields | inline | {"timezone": "Asia/Shanghai"}).status_code == 302
    (entry,) = trail("crontabschedule")
    assert entry.after == {"minute": "5", "timezone": "Asia/Shanghai"}
