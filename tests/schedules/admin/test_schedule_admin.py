"""Schedules through the admin's own addresses, in real transactions: services are durable."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from fleet.models import AuditEntry
from schedules.models import Run, Schedule, SkipSpan
from schedules.services.schedules import schedule_disable
from tests.admin_fleet import ADDRESS, SYSTEM, make
from tests.schedules.admin.reading import said

LIST = "/admin/schedules/schedule/"


def form(fleet: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "organisation": fleet["ours"].pk,
        "display_name": "Hourly Sweep",
        "name": "",
        "description": "",
        "agent": "",
        "expression": "0 * * * *",
        "timezone": "Asia/Shanghai",
        "executor": "container.command",
        "payload": '{"command": "docker exec night sweep"}',
        "enabled": "on",
        "timeout_seconds": 60,
        "max_retries": "",
        "retry_delays": "[]",
        "max_concurrent_runs": 1,
        "overlap": "skip",
        "misfire": "run_latest",
        "catchup_seconds": 900,
        "priority": 5,
        "starts_at_0": "",
        "starts_at_1": "",
        "ends_at_0": "",
        "ends_at_1": "",
        "max_runs": "",
        "jitter_seconds": "",
        "start_within_seconds": "",
        "pause_after_failures": "",
        "run_after": "",
        "run_after_on": "success",
    } | changes


def entry(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action, actor="boss")


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("expression", "61 * * * *", "has to be between 0 and 59"),
        ("expression", "0 0 30 2 *", "never has that day"),
        ("timezone", "Mars/Olympus", "timezone"),
        ("payload", '{"command": "rm -rf /"}', "docker exec"),
        ("payload", '{"comand": "docker exec night ls"}', "payload.command"),
        ("payload", '["docker"]', "A payload is an object"),
        ("name", "Not A Name", "is not a job name"),
        ("name", "nightly-backup", "is taken in ours"),
        ("retry_delays", '["soon"]', "list of seconds"),
        ("priority", "12", "priority|less than or equal"),
        ("executor", "", "required"),
    ],
)
def test_a_wrong_value_is_an_error_of_its_field(
    boss: Client, fleet: dict[str, Any], field: str, value: str, error: str
) -> None:
    response = boss.post(f"{LIST}add/", form(fleet, **{field: value}))
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field], errors.as_data()
    assert any(part in str(errors[field].as_data()) for part in error.split("|"))
    assert Schedule.objects.count() == 2


def test_another_tenants_agent_is_refused_at_its_field(boss: Client, fleet: dict[str, Any]) -> None:
    response = boss.post(f"{LIST}add/", form(fleet, agent=fleet["foreign_agent"].pk))
    assert list(response.context["adminform"].form.errors) == ["agent"]


def test_adding_goes_through_the_service(boss: Client, fleet: dict[str, Any]) -> None:
    response = boss.post(f"{LIST}add/", form(fleet, agent=fleet["agent"].pk))
    assert response.status_code == 302
    schedule = Schedule.objects.get(name="hourly-sweep")
    assert schedule.kind == "cron"
    assert schedule.next_run_at is not None
    assert schedule.created_by == "boss"
    trail = entry("schedule.create")
    assert (trail.actor_kind, trail.address, trail.organisation) == ("user", ADDRESS, fleet["ours"])
    assert "hourly-sweep" in said(response)


def test_an_edit_writes_what_changed_and_keeps_the_rest(boss: Client, fleet: dict[str, Any]) -> None:
    schedule = fleet["schedule"]
    url = reverse("admin:schedules_schedule_change", args=(schedule.pk,))
    page = boss.get(url)
    data = {name: field.value() for name, field in _bound(page)} | {"expression": "30 3 * * *"}
    assert boss.post(url, {name: "" if value is None else value for name, value in data.items()}).status_code == 302
    fresh = Schedule.objects.get(pk=schedule.pk)
    assert (fresh.expression, fresh.version, fresh.payload) == ("30 3 * * *", 2, schedule.payload)
    assert fresh.next_run_at != schedule.next_run_at
    assert entry("schedule.update").before == {"expression": "0 2 * * *"}


def test_a_wrong_edit_stays_on_the_form(boss: Client, fleet: dict[str, Any]) -> None:
    url = reverse("admin:schedules_schedule_change", args=(fleet["schedule"].pk,))
    data = {name: "" if field.value() is None else field.value() for name, field in _bound(boss.get(url))}
    response = boss.post(url, data | {"expression": "never"})
    assert response.status_code == 200
    assert list(response.context["adminform"].form.errors) == ["expression"]
    assert Schedule.objects.get(pk=fleet["schedule"].pk).expression == "0 2 * * *"


def _bound(page: Any) -> list[tuple[str, Any]]:
    return [(field.name, field) for field in page.context["adminform"].form]


def test_the_list_speaks_in_words(boss: Client, fleet: dict[str, Any]) -> None:
    text = boss.get(LIST).content.decode()
    for words in ("Every day at 02:00, Asia/Shanghai", "Nightly Backup", "none yet", "only by hand", "Enabled"):
        assert words in text


def test_a_broken_row_does_not_break_list_or_page(boss: Client, fleet: dict[str, Any]) -> None:
    pk = fleet["schedule"].pk
    Schedule.objects.filter(pk=pk).update(expression="not cron", timezone="No/Where", executor="gone.away")
    listing = boss.get(LIST)
    assert listing.status_code == 200
    assert "not cron" in listing.content.decode()
    page = boss.get(reverse("admin:schedules_schedule_change", args=(pk,)))
    assert page.status_code == 200
    assert "gone.away (not installed)" in page.content.decode()


def test_the_page_shows_fires_runs_and_skips(boss: Client, fleet: dict[str, Any]) -> None:
    schedule = fleet["schedule"]
    SkipSpan.objects.create(
        schedule=schedule,
        reason="paused",
        first_fire_at="2026-01-01T00:00Z",
        last_fire_at="2026-01-03T00:00Z",
        count=3,
    )
    boss.post(_action(schedule, "run-now"), {"_form_submitted": "True"})
    text = boss.get(reverse("admin:schedules_schedule_change", args=(schedule.pk,))).content.decode()
    assert text.count("02:00 Asia/Shanghai") == 5
    assert text.count("18:00 UTC") == 5
    assert Run.objects.get().job_run_id in text
    assert "the schedule was paused" in text


def _action(schedule: Schedule, name: str) -> str:
    return f"{LIST}{schedule.pk}/{name}/"


def test_opening_a_dialog_does_nothing_yet(boss: Client, fleet: dict[str, Any]) -> None:
    response = boss.get(_action(fleet["schedule"], "run-now"))
    assert response.status_code == 200
    assert "nightly-backup" in response.content.decode()
    assert not Run.objects.exists()


def test_run_now_says_when_redis_is_away(boss: Client, fleet: dict[str, Any], redis_down: None) -> None:
    response = boss.post(_action(fleet["schedule"], "run-now"), {"_form_submitted": "True"})
    assert response.status_code == 302
    assert Run.objects.get().status == "queued"
    assert "Redis" in said(response)
    assert entry("run.now").address == ADDRESS


def test_a_dialog_sends_htmx_back_to_the_page_it_was_opened_on(boss: Client, fleet: dict[str, Any]) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{LIST}?enabled__exact=1"}
    response = boss.post(_action(fleet["schedule"], "run-now"), {"_form_submitted": "True"}, headers=headers)
    assert response.headers["HX-Redirect"] == headers["HX-Current-URL"]
    headers["HX-Current-URL"] = "http://elsewhere.example/"
    response = boss.post(_action(fleet["schedule"], "run-now"), {"_form_submitted": "True"}, headers=headers)
    assert response.headers["HX-Redirect"].startswith(LIST)


def test_disabling_asks_for_a_reason_and_shows_it(boss: Client, fleet: dict[str, Any]) -> None:
    schedule, data = fleet["schedule"], {"_form_submitted": "True"}
    assert "required" in boss.post(_action(schedule, "disable"), data).content.decode()
    assert Schedule.objects.get(pk=schedule.pk).enabled
    boss.post(_action(schedule, "disable"), data | {"reason": "storage moves"})
    assert Schedule.objects.get(pk=schedule.pk).paused_reason == "storage moves"
    assert "paused: storage moves" in boss.get(LIST).content.decode()
    boss.post(_action(schedule, "enable"), data)
    assert Schedule.objects.get(pk=schedule.pk).enabled
    assert entry("schedule.disable").after["reason"] == "storage moves"


def test_bulk_actions_answer_for_each(boss: Client, fleet: dict[str, Any]) -> None:
    rows = [fleet["schedule"].pk, fleet["foreign"].pk]
    fleet["theirs"].is_active = False
    fleet["theirs"].save(update_fields=["is_active"])
    response = boss.post(LIST, {"action": "run_selected", "_selected_action": rows})
    assert "Run requested: nightly-backup." in said(response)
    assert "their-backup: The organisation theirs is closed." in said(response)
    boss.post(LIST, {"action": "disable_selected", "_selected_action": rows})
    assert set(Schedule.objects.values_list("paused_reason", flat=True)) == {"disabled by boss"}
    boss.post(LIST, {"action": "enable_selected", "_selected_action": rows})
    assert Schedule.objects.filter(enabled=True).count() == 2


def test_deleting_names_what_is_lost_and_cancels(boss: Client, fleet: dict[str, Any]) -> None:
    schedule = fleet["schedule"]
    boss.post(_action(schedule, "run-now"), {"_form_submitted": "True"})
    url = reverse("admin:schedules_schedule_delete", args=(schedule.pk,))
    asks = boss.get(url).content.decode()
    assert "1 run not over yet: cancelled." in asks
    assert boss.post(url, {"post": "yes"}).status_code == 302
    assert not Schedule.objects.filter(pk=schedule.pk).exists()
    assert Run.objects.get().status == "cancelled"
    assert entry("schedule.delete").object_name == "nightly-backup"


def test_bulk_delete_asks_then_deletes_each_through_the_service(boss: Client, fleet: dict[str, Any]) -> None:
    rows = [fleet["schedule"].pk, make(fleet["ours"], "Second").pk]
    data = {"action": "delete_selected", "_selected_action": rows}
    asks = boss.post(LIST, data)
    assert "nightly-backup (Nightly Backup): Every day at 02:00, Asia/Shanghai." in asks.content.decode()
    assert Schedule.objects.count() == 3
    assert "Deleted: nightly-backup, second." in said(boss.post(LIST, data | {"post": "yes"}))
    assert AuditEntry.objects.filter(action="schedule.delete", actor="boss").count() == 2


def test_filters_and_search_answer(boss: Client, fleet: dict[str, Any]) -> None:
    schedule_disable(schedule=fleet["schedule"], actor=SYSTEM, reason="x")
    for query in ("enabled__exact=0", "kind__exact=cron", f"organisation={fleet['ours'].pk}", "q=nightly"):
        text = boss.get(f"{LIST}?{query}").content.decode()
        assert "nightly-backup" in text
        assert "their-backup" not in text
    for query in ("last_status=none", "last_status=failed", "executor=container.command", "agent=1", "organisation=x"):
        assert boss.get(f"{LIST}?{query}").status_code == 200
