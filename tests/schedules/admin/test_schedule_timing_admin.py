"""Begin, end, spread, order: what narrows a schedule down, on its form and in the list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.forms import MultiWidget
from django.test import Client

from fleet.models import AuditEntry
from schedules.models import Schedule
from schedules.services.blackouts import blackout_create
from schedules.services.schedules import schedule_update
from tests.admin_fleet import SYSTEM, make
from tests.schedules.admin.test_ledger_admin import text_of
from tests.schedules.admin.test_schedule_admin import LIST, form

TIMED = {
    "starts_at_0": "2030-12-01",
    "starts_at_1": "02:00:00",
    "ends_at_0": "2031-03-01",
    "ends_at_1": "00:00:00",
    "max_runs": "10",
    "jitter_seconds": "300",
    "start_within_seconds": "600",
    "pause_after_failures": "5",
}


def page(schedule: Schedule) -> str:
    return f"{LIST}{schedule.pk}/change/"


def as_shown(client: Client, schedule: Schedule) -> dict[str, Any]:
    """What a browser would send back of the page as it is."""
    data: dict[str, Any] = {}
    for field in client.get(page(schedule)).context["adminform"].form:
        widget, value = field.field.widget, field.value()
        if isinstance(widget, MultiWidget):
            data |= {f"{field.name}_{number}": part or "" for number, part in enumerate(widget.decompress(value))}
        else:
            data[field.name] = "" if value is None else value
    return data


def test_the_new_settings_are_saved_and_read_in_utc(boss: Client, fleet: dict[str, Any]) -> None:
    scan = fleet["schedule"]
    data = form(fleet, **TIMED, run_after=scan.pk, run_after_on="always")
    assert boss.post(f"{LIST}add/", data).status_code == 302
    made = Schedule.objects.get(name="hourly-sweep")
    assert made.starts_at == datetime(2030, 12, 1, 2, tzinfo=UTC)
    assert made.ends_at == datetime(2031, 3, 1, tzinfo=UTC)
    numbers = (made.max_runs, made.jitter_seconds, made.start_within_seconds, made.pause_after_failures)
    assert numbers == (10, 300, 600, 5)
    assert (made.run_after, made.run_after_on) == (scan, "always")
    text = text_of(boss.get(page(made)))
    assert "In UTC" in text
    assert "from Sun 1 Dec 2030 10:00 Asia/Shanghai; until Sat 1 Mar 2031 08:00 Asia/Shanghai" in text
    assert "at most 10 runs, of which 0 are planned; each put off by up to 5 min" in text
    assert "after nightly-backup, however it ended" in text


def test_what_is_optional_may_be_emptied_again(boss: Client, fleet: dict[str, Any]) -> None:
    boss.post(f"{LIST}add/", form(fleet, **TIMED, run_after=fleet["schedule"].pk))
    made = Schedule.objects.get(name="hourly-sweep")
    data = as_shown(boss, made)
    assert {name: str(data[name]) for name in TIMED} == TIMED
    assert boss.post(page(made), data | dict.fromkeys(TIMED, "") | {"run_after": ""}).status_code == 302
    made.refresh_from_db()
    assert (made.starts_at, made.ends_at, made.max_runs, made.run_after) == (None, None, None, None)
    assert (made.start_within_seconds, made.pause_after_failures, made.jitter_seconds) == (None, None, 0)
    assert made.next_run_at < datetime(2030, 12, 1, tzinfo=UTC)


def test_a_page_that_is_sent_back_as_it_was_changes_nothing(boss: Client, fleet: dict[str, Any]) -> None:
    boss.post(f"{LIST}add/", form(fleet, **TIMED))
    made = Schedule.objects.get(name="hourly-sweep")
    assert boss.post(page(made), as_shown(boss, made)).status_code == 302
    assert not AuditEntry.objects.filter(action="schedule.update").exists()


@pytest.mark.parametrize(
    ("changes", "field", "error"),
    [
        ({"ends_at_0": "2030-01-01", "ends_at_1": "00:00:00"} | {"starts_at_0": "2030-12-01", "starts_at_1": "00:00"},
         "ends_at", "lies before the start"),
        ({"starts_at_0": "1.12.2030", "starts_at_1": "00:00"}, "starts_at", "valid date"),
        ({"ends_at_0": "9999-12-31", "ends_at_1": "23:59:59"}, "ends_at", "1970 to 2199"),
        ({"jitter_seconds": "86401"}, "jitter_seconds", "from 0 to 86400, not 86401"),
        ({"max_runs": "0"}, "max_runs", "from 1 to"),
        ({"pause_after_failures": "-1"}, "pause_after_failures", "greater than or equal to 0"),
        ({"start_within_seconds": "0"}, "start_within_seconds", "from 1 to"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_an_error_of_its_field(
    boss: Client, fleet: dict[str, Any], changes: dict[str, str], field: str, error: str
) -> None:
    response = boss.post(f"{LIST}add/", form(fleet, **changes))
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field], errors.as_data()
    assert error in errors[field].as_text()
    assert Schedule.objects.count() == 2


def test_jobs_never_follow_each_other_in_a_circle(boss: Client, fleet: dict[str, Any]) -> None:
    first, second = fleet["schedule"], make(fleet["ours"], "Second")
    schedule_update(schedule=second, actor=SYSTEM, run_after=first)
    response = boss.post(page(first), as_shown(boss, first) | {"run_after": second.pk})
    assert "in a circle" in response.context["adminform"].form.errors["run_after"].as_text()
    first.refresh_from_db()
    assert first.run_after is None


def test_only_jobs_of_the_same_organisation_are_offered(boss: Client, staff: Any, fleet: dict[str, Any]) -> None:
    make(fleet["ours"], "Second")
    offered = boss.get(page(fleet["schedule"])).context["adminform"].form.fields["run_after"].queryset
    assert [each.name for each in offered] == ["second"]
    groups = dict(boss.get(f"{LIST}add/").context["adminform"].form.fields["run_after"].choices)
    assert [name for name in groups if name] == ["ours", "theirs"]
    own = staff("admin").get(f"{LIST}add/").context["adminform"].form.fields["run_after"].queryset
    assert [each.name for each in own] == ["nightly-backup", "second"]
    refused = boss.post(f"{LIST}add/", form(fleet, run_after=fleet["foreign"].pk))
    assert list(refused.context["adminform"].form.errors) == ["run_after"]


def test_the_list_tells_why_nothing_comes(boss: Client, fleet: dict[str, Any]) -> None:
    ours = fleet["ours"]
    limited = make(ours, "Limited", expression="@daily", max_runs=2)
    ended = make(ours, "Ended", expression="@daily", ends_at=datetime(2026, 1, 1, tzinfo=UTC))
    make(ours, "Follower", run_after=ended, run_after_on="always")
    make(ours, "Hand")
    Schedule.objects.filter(pk=limited.pk).update(planned_runs=2, next_run_at=None)
    limited.skip_spans.create(reason="limit", first_fire_at="2026-02-25T00:00Z")
    text = text_of(boss.get(f"{LIST}?organisation={ours.pk}"))
    for words in ("limit reached: 2 runs", "ended: Thu 1 Jan", "after ended, however it ended", "only by hand"):
        assert words in text, words
    assert "Limit reached" in text_of(boss.get(page(limited)))
    assert "Ended ended: Thu 1 Jan" in text_of(boss.get(page(ended)))


def test_the_list_asks_as_often_for_many(
    boss: Client, fleet: dict[str, Any], django_assert_max_num_queries: Any
) -> None:
    first = fleet["schedule"]
    for number in range(12):
        make(fleet["ours"], f"Follower {number}", run_after=first, enabled=number % 2 == 0)
    with django_assert_max_num_queries(12):
        assert boss.get(LIST).status_code == 200


def test_fires_inside_a_blackout_are_told(boss: Client, fleet: dict[str, Any]) -> None:
    make(fleet["ours"], "Other")
    blackout_create(organisation=fleet["ours"], actor=SYSTEM, name="always", windows="00:00-24:00", for_all=True)
    text = text_of(boss.get(page(fleet["schedule"])))
    assert "always: Every day from 00:00 to 24:00" in text or "always: Every day" in text
    assert text.count("skipped: inside the blackout 00:00-24:00") == 5


def test_a_fire_that_a_clock_change_moves_says_so(clock: Any, boss: Client, fleet: dict[str, Any]) -> None:
    clock.move_to("2026-03-07T12:00:00Z")
    job = make(fleet["ours"], "Gap", expression="CRON_TZ=America/New_York 30 2 * * *", timezone="UTC", max_runs=2)
    text = text_of(boss.get(page(job)))
    assert "Sun 8 Mar 03:00 America/New_York Sun 8 Mar 07:00 UTC 02:30 does not exist that day: fires at 03:00" in text
    assert text.count("America/New_York Sun") + text.count("America/New_York Mon") == 2  # as many as may still run
    assert "It fires only by hand." in text_of(boss.get(page(make(fleet["ours"], "Hand"))))
