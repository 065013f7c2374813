"""Schedules: create, list, read, change, enable, disable, delete."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from rest_framework.test import APIClient

from fleet.actors import Actor
from fleet.models import AuditEntry
from schedules.models import Schedule
from schedules.services.runs import run_now
from schedules.services.schedules import schedule_disable

ACTOR = Actor.system("test")
URL = "/api/v1/schedules"


def test_create_shows_the_whole_schedule(api: APIClient, body: dict[str, Any], agent: Any) -> None:
    response = api.post(URL, {**body, "agent": agent.slug, "max_retries": 3, "priority": 7}, format="json")
    assert response.status_code == 201, response.content
    shown = response.json()
    assert response["Location"] == f"{URL}/nightly-backup"
    assert shown["name"] == "nightly-backup"
    assert (shown["kind"], shown["expression"], shown["timezone"]) == ("cron", "0 2 * * *", "Asia/Shanghai")
    assert "02:00" in shown["words"]
    assert "Asia/Shanghai" in shown["words"]
    assert (shown["agent"], shown["max_retries"], shown["priority"]) == ("night", 3, 7)
    assert (shown["enabled"], shown["overlap"], shown["timeout_seconds"]) == (True, "skip", 3600)
    assert shown["next_fires"][0] == shown["next_run_at"]
    first, second, third = (parse_datetime(each) for each in shown["next_fires"])
    assert first is not None
    assert second is not None
    assert (first.hour, second - first, third) == (18, timedelta(days=1), second + timedelta(days=1))
    assert shown["created_by"].startswith("schedules:")
    assert api.get(response["Location"]).json() == shown


def test_create_is_audited_with_actor_and_address(api: APIClient, body: dict[str, Any]) -> None:
    api.post(URL, body, format="json")
    entry = AuditEntry.objects.get(action="schedule.create")
    assert (entry.actor_kind, entry.address, entry.object_name) == ("api_key", "192.0.2.7", "nightly-backup")
    assert entry.actor_id is not None
    assert entry.after["expression"] == "0 2 * * *"


def test_create_disabled(api: APIClient, body: dict[str, Any]) -> None:
    shown = api.post(URL, {**body, "enabled": False}, format="json").json()
    assert (shown["enabled"], shown["next_run_at"], shown["next_fires"]) == (False, None, [])


def test_patch_changes_only_what_is_named(api: APIClient, new_schedule: Any) -> None:
    new_schedule(expression="@daily", priority=7)
    shown = api.patch(f"{URL}/nightly", {"description": "why", "timezone": "Europe/Paris"}, format="json").json()
    assert (shown["description"], shown["timezone"], shown["priority"]) == ("why", "Europe/Paris", 7)
    entry = AuditEntry.objects.get(action="schedule.update")
    assert (entry.before, entry.after) == (
        {"description": "", "timezone": "UTC"},
        {"description": "why", "timezone": "Europe/Paris"},
    )


def test_patch_can_rename_and_take_the_agent_away(api: APIClient, new_schedule: Any, agent: Any) -> None:
    new_schedule(agent=agent)
    shown = api.patch(f"{URL}/nightly", {"name": "weekly", "agent": None}, format="json").json()
    assert (shown["name"], shown["agent"]) == ("weekly", None)
    assert api.get(f"{URL}/nightly").status_code == 404


def test_put_resets_what_is_left_out_and_keeps_the_names(api: APIClient, new_schedule: Any) -> None:
    schedule = new_schedule(expression="@daily", priority=7, description="why", display_name="Nightly")
    body = {"expression": "@hourly", "executor": "test.trace", "payload": schedule.payload}
    shown = api.put(f"{URL}/nightly", body, format="json").json()
    assert (shown["expression"], shown["priority"], shown["description"]) == ("@hourly", 5, "")
    assert (shown["name"], shown["display_name"]) == ("nightly", "Nightly")


def test_what_was_read_may_be_put_back(api: APIClient, new_schedule: Any, agent: Any) -> None:
    new_schedule(expression="@daily", agent=agent, max_retries=2, retry_delays=[1, 2])
    read = api.get(f"{URL}/nightly").json()
    response = api.put(f"{URL}/nightly", read, format="json")
    assert response.status_code == 200, response.content
    assert response.json() == read
    assert not AuditEntry.objects.filter(action="schedule.update").exists()


def test_disable_keeps_its_reason_and_enable_clears_it(api: APIClient, new_schedule: Any) -> None:
    new_schedule(expression="@daily")
    off = api.post(f"{URL}/nightly/disable", {"reason": "the bucket moves"}, format="json").json()
    assert (off["enabled"], off["paused_reason"], off["next_run_at"]) == (False, "the bucket moves", None)
    on = api.post(f"{URL}/nightly/enable").json()
    assert (on["enabled"], on["paused_reason"]) == (True, "")
    assert on["next_run_at"] is not None
    actions = AuditEntry.objects.filter(object_type="schedule").exclude(action="schedule.create")
    assert [(each.action, each.address) for each in actions.order_by("id")] == [
        ("schedule.disable", "192.0.2.7"),
        ("schedule.enable", "192.0.2.7"),
    ]


def test_delete_cancels_what_waits_and_keeps_the_runs(api: APIClient, new_schedule: Any) -> None:
    run = run_now(schedule=new_schedule(), actor=ACTOR).run
    response = api.delete(f"{URL}/nightly")
    assert (response.status_code, response.content) == (204, b"")
    assert api.get(f"{URL}/nightly").status_code == 404
    kept = api.get(f"/api/v1/schedule-runs/{run.job_run_id}").json()
    assert (kept["status"], kept["schedule"], kept["error_code"]) == ("cancelled", "nightly", "cancelled")
    assert AuditEntry.objects.get(action="schedule.delete").address == "192.0.2.7"


def test_the_list_is_by_name_and_filters(api: APIClient, new_schedule: Any, agent: Any) -> None:
    new_schedule("c-daily", expression="@daily", agent=agent, description="the LEDGER")
    new_schedule("a-hourly", expression="@hourly")
    new_schedule("b-hand", expression="@manually")
    schedule_disable(schedule=Schedule.objects.get(name="a-hourly"), actor=ACTOR)

    def names(query: str = "") -> list[str]:
        return [each["name"] for each in api.get(f"{URL}?{query}").json()["results"]]

    assert names() == ["a-hourly", "b-hand", "c-daily"]
    assert names("enabled=false") == ["a-hourly"]
    assert names("enabled=true") == ["b-hand", "c-daily"]
    assert names("kind=manual") == ["b-hand"]
    assert names("kind=manual&kind=cron&enabled=true") == ["b-hand", "c-daily"]
    assert names("agent=night") == ["c-daily"]
    assert names("agent=nobody") == []
    assert names("executor=test.trace&q=ledger") == ["c-daily"]
    assert names("executor=test.once") == []
    assert "next_fires" not in api.get(URL).json()["results"][0]


def test_the_cursor_walks_through_all_even_while_rows_are_added(api: APIClient, new_schedule: Any) -> None:
    for number in range(5):
        new_schedule(f"job-{number}")
    page = api.get(f"{URL}?page_size=2").json()
    seen = [each["name"] for each in page["results"]]
    assert page["previous"] is None
    new_schedule("job-0a")
    while page["next"]:
        page = api.get(page["next"]).json()
        seen += [each["name"] for each in page["results"]]
    assert seen == [f"job-{number}" for number in range(5)]


def test_the_list_costs_the_same_for_many(
    api: APIClient, new_schedule: Any, agent: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(20):
        new_schedule(f"job-{number}", agent=agent, expression="@daily")
    with django_assert_max_num_queries(3):  # the key, its use, the page
        assert len(api.get(URL).json()["results"]) == 20


def test_a_damaged_expression_does_not_break_the_list(api: APIClient, new_schedule: Any) -> None:
    new_schedule(expression="@daily")
    Schedule.objects.update(expression="nonsense")
    assert api.get(URL).status_code == 200
    assert api.get(f"{URL}/nightly").json()["next_fires"] == []


def test_a_cursor_that_lies_behind_is_not_promised_again(api: APIClient, new_schedule: Any) -> None:
    new_schedule(expression="@hourly")
    late = timezone.now() - timedelta(hours=3)
    Schedule.objects.update(next_run_at=late, planned_through=late - timedelta(hours=1))
    fires = api.get(f"{URL}/nightly").json()["next_fires"]
    assert len(fires) == 3
    assert all((moment := parse_datetime(each)) and moment > timezone.now() for each in fires)


def test_head_is_answered_without_a_body(api: APIClient) -> None:
    response = api.head(URL)
    assert (response.status_code, response.content) == (200, b"")
