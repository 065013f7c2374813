"""The ledger on the pages of the admin: what became of each fire, whether none is missing, and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from schedules.models import Run, Schedule, SkipSpan
from tests.admin_fleet import make

PAGE = "/admin/schedules/schedule/"


def text_of(response: Any) -> str:
    """What a reader sees, in one line."""
    assert response.status_code == 200
    body = response.content.decode().partition('id="content"')[2]
    return re.sub(r"\s+", " ", strip_tags(body)).replace("&#x27;", "'")


def ledger(client: Client, schedule: Schedule, **query: str) -> Any:
    return client.get(f"{PAGE}{schedule.pk}/ledger/", query)


def test_the_page_of_a_job_tells_runs_and_spans_together(lived: Schedule, boss: Client) -> None:
    text = text_of(boss.get(f"{PAGE}{lived.pk}/change/"))
    panel = text.partition("What became of its fires")[2]
    told = ["since Wed 25 Feb 19:00 Asia/Shanghai", "Still open", "the schedule was paused: and again"]
    told += ["Overlap", "Paused", "the schedule was paused: storage moves", "Overlap", "Missed", "Overlap", "Queued"]
    place = 0
    for words in told:  # the latest first
        place = panel.find(words, place)
        assert place >= 0, (words, panel)
    assert Run.objects.get(schedule=lived).job_run_id in panel


def test_the_whole_ledger_says_that_none_is_missing(lived: Schedule, boss: Client) -> None:
    text = text_of(ledger(boss, lived))
    assert "Complete 12 expected fires, each covered once." in text
    assert "Wed 25 Feb 15:00 Asia/Shanghai to Wed 25 Feb 17:00 Asia/Shanghai" in text
    assert "Wed 18 Feb 20:30 Asia/Shanghai to Wed 25 Feb 20:30 Asia/Shanghai" in text


def test_a_range_is_read_in_the_zone_of_the_job(lived: Schedule, boss: Client) -> None:
    text = text_of(ledger(boss, lived, since="2026-02-25T09:00", until="2026-02-25T05:30:00Z"))
    assert "Wed 25 Feb 09:00 Asia/Shanghai to Wed 25 Feb 13:30 Asia/Shanghai" in text
    assert "4 expected fires, each covered once." in text  # of (09:00, 13:30], the hour at the left is not in it
    assert "Still open" not in text


def test_holes_doubles_and_strays_are_named(lived: Schedule, boss: Client) -> None:
    SkipSpan.objects.filter(reason="misfire").delete()
    SkipSpan.objects.filter(reason="paused", count=3).update(last_fire_at="2026-02-25T10:00Z")
    text = text_of(ledger(boss, lived))
    assert "Not in order Of 12 expected fires: 3 without a record: Wed 25 Feb 11:00 Asia/Shanghai" in text
    assert "1 covered more than once: Wed 25 Feb 18:00 Asia/Shanghai" in text
    assert "miscounted: Wed 25 Feb 15:00" in text


def test_many_records_come_in_pages(lived: Schedule, boss: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schedules.admin.ledger_page._RECORDS", 3)
    first = ledger(boss, lived)
    assert "The latest 3 records of this range." in text_of(first)
    assert "storage moves" in text_of(first)
    assert "Missed" not in text_of(first)
    second = boss.get(f"{PAGE}{lived.pk}/ledger/{first.context['older'].partition('ledger/')[2]}")
    assert "storage moves" not in text_of(second)
    assert "Missed" in text_of(second)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"since": "yesterday"}, ["yesterday", "2026-03-01T02:00:00+08:00"]),
        ({"since": "2026-02-26", "until": "2026-02-25"}, ["2026-02-25T16:00:00+00:00", "earlier begin"]),
        ({"since": "1969-12-31"}, ["1970 to 2199", "1969-12-30T16:00:00+00:00"]),
        ({"at": "26.02.2026"}, ["26.02.2026", "2026-03-01T02:00:00+08:00"]),
        ({"at": "9999-12-31T00:00Z"}, ["1970 to 2199", "9999-12-31T00:00:00+00:00"]),
    ],
)
def test_a_wrong_time_is_said_with_a_right_one(
    lived: Schedule, boss: Client, query: dict[str, str], said: list[str]
) -> None:
    text = text_of(ledger(boss, lived, **query))
    for words in said:
        assert words in text.replace("&quot;", '"')


def test_why_answers_for_a_fire_and_for_now(lived: Schedule, boss: Client) -> None:
    text = text_of(ledger(boss, lived, at="2026-02-25T16:00"))
    assert "The fire of 2026-02-25 16:00:00 Asia/Shanghai did not run: the schedule was paused." in text
    assert "storage moves" in text.partition("Why did it run")[2]
    assert "hourly is paused: and again." in text_of(ledger(boss, lived, at=""))
    ran = ledger(boss, lived, at="2026-02-25T01:00:00Z")
    run = Run.objects.get(schedule=lived)
    assert f"The run {run.job_run_id}" in text_of(ran)
    assert f"/admin/schedules/run/{run.pk}/change/" in ran.content.decode()
    assert "No fire of hourly was expected" in text_of(ledger(boss, lived, at="2026-02-25T16:20"))


def test_a_viewer_reads_it_and_a_stranger_finds_nothing(lived: Schedule, staff: Any, fleet: dict[str, Any]) -> None:
    viewer = staff("viewer")
    assert "each covered once" in text_of(ledger(viewer, lived))
    assert ledger(viewer, fleet["foreign"]).status_code == 404
    assert viewer.get(f"{PAGE}12345/ledger/").status_code == 404
    assert viewer.get(f"{PAGE}nonsense/ledger/").status_code == 404


def test_it_is_for_those_who_are_logged_in(lived: Schedule, client: Client) -> None:
    assert ledger(client, lived).status_code == 302


def test_a_damaged_job_still_has_its_pages(lived: Schedule, boss: Client) -> None:
    Schedule.objects.filter(pk=lived.pk).update(expression="nonsense", timezone="No/Where")
    assert "can't be counted" in text_of(boss.get(f"{PAGE}{lived.pk}/change/"))
    assert "can't be read" in text_of(ledger(boss, lived, at=""))
    assert boss.get("/admin/schedules/skipspan/").status_code == 200
    span = SkipSpan.objects.get(last_fire_at=None)
    assert "not known" in text_of(boss.get(f"/admin/schedules/skipspan/{span.pk}/change/"))


def test_the_lists_tell_open_spans_and_the_timing_of_old(lived: Schedule, boss: Client) -> None:
    listing = text_of(boss.get("/admin/schedules/skipspan/"))
    for words in ("Still open", "and again", "storage moves", "Missed"):
        assert words in listing
    assert "storage moves" not in text_of(boss.get("/admin/schedules/skipspan/?state=open"))
    span = SkipSpan.objects.get(last_fire_at=None)
    assert "2 so far" in text_of(boss.get(f"/admin/schedules/skipspan/{span.pk}/change/"))
    revision = lived.revisions.get()
    page = text_of(boss.get(f"/admin/schedules/schedulerevision/{revision.pk}/change/"))
    assert "Every hour" in page
    assert boss.post(f"/admin/schedules/schedulerevision/{revision.pk}/change/", {}).status_code == 403


def test_other_tenants_rows_are_not_in_the_lists(lived: Schedule, staff: Any, fleet: dict[str, Any]) -> None:
    foreign = make(fleet["theirs"], "Theirs", payload={"command": "docker exec day ls"}, enabled=False)
    foreign.skip_spans.create(reason="paused", first_fire_at="2026-02-25T00:00Z")
    client = staff("viewer")
    for model in ("skipspan", "schedulerevision", "backfill"):
        assert "theirs" not in text_of(client.get(f"/admin/schedules/{model}/"))
    for row in (foreign.revisions.get(), foreign.skip_spans.get()):
        url = f"/admin/schedules/{row._meta.model_name}/{row.pk}/change/"
        assert client.get(url).status_code == 302  # Django's "perhaps it was deleted?"
