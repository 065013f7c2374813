"""The dialog of a backfill: it shows what it would do, and queues nothing before that was confirmed."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client

from fleet.models import AuditEntry
from schedules.models import Backfill, Run, Schedule
from schedules.services.runs import run_cancel
from tests.admin_fleet import ADDRESS, SYSTEM
from tests.schedules.admin.reading import said
from tests.schedules.admin.test_ledger_admin import text_of

PAGE = "/admin/schedules/schedule/"


def asked(**changes: Any) -> dict[str, Any]:
    """From 09:00 to 20:00 in Shanghai: the fires of 01:00 to 12:00 UTC."""
    return {
        "_form_submitted": "True",
        "begin": "2026-02-25T09:00",
        "end": "2026-02-25T12:00Z",
        "only": "unsuccessful",
        "at_once": "2",
    } | changes


def url(schedule: Schedule) -> str:
    return f"{PAGE}{schedule.pk}/backfill/"


def confirmation(response: Any) -> str:
    found = re.search(r'name="confirmed" value="([^"]+)"', response.content.decode())
    assert found, response.content.decode()
    return found[1].replace("&#x27;", "'")


def test_it_shows_first_and_does_it_when_confirmed(lived: Schedule, boss: Client) -> None:
    opened = boss.get(url(lived)).content.decode()
    assert 'value="2026-02-24T20:30:00+08:00"' in opened
    assert "Show what it would do" in opened
    shown = boss.post(url(lived), asked())
    text = shown.content.decode()
    assert "11 runs would be queued, 2 at once" in text
    assert "the first of Wed 25 Feb 10:00 Asia/Shanghai, the last of Wed 25 Feb 20:00 Asia/Shanghai" in text
    assert "Left out: 1 fire with a run." in text
    assert not Backfill.objects.exists()
    done = boss.post(url(lived), asked(confirmed=confirmation(shown)))
    assert done.status_code == 302
    assert "Queued 11 runs of the backfill" in said(done)
    backfill = Backfill.objects.get()
    assert (backfill.planned, backfill.max_concurrent_runs, backfill.requested_by) == (11, 2, "boss")
    assert Run.objects.filter(trigger="backfill").count() == 11
    assert AuditEntry.objects.get(action="schedule.backfill").address == ADDRESS


def test_what_was_not_seen_is_not_done(lived: Schedule, boss: Client) -> None:
    seen = confirmation(boss.post(url(lived), asked()))
    for changes in ({"end": "2026-02-25T11:00Z"}, {"at_once": "9"}, {"only": "all"}, {"begin": "2026-02-25T10:00"}):
        again = boss.post(url(lived), asked(confirmed=seen, **changes))
        assert confirmation(again) != seen
    run_cancel(run=Run.objects.get(schedule=lived), actor=SYSTEM)  # one fire more is without a run that succeeded
    assert "12 runs would be queued" in boss.post(url(lived), asked(confirmed=seen)).content.decode()
    assert not Backfill.objects.exists()


@pytest.mark.parametrize(
    ("changes", "said_so"),
    [
        ({"begin": ""}, ["required"]),
        ({"begin": "yesterday"}, ["yesterday", "2026-03-01T02:00:00+08:00"]),
        ({"end": "2026-02-24"}, ["before it begins"]),
        ({"end": "2027-01-01"}, ["lies in the future"]),
        ({"begin": "0001-01-01T00:00Z"}, ["1970 to 2199"]),
        ({"only": "some"}, ["some"]),
        ({"at_once": "0"}, ["greater than or equal to 1"]),
        ({"begin": "2020-01-01"}, ["one backfill takes 10000", "shorter range"]),
    ],
)
def test_a_wrong_value_is_an_error_of_its_field(
    lived: Schedule, boss: Client, changes: dict[str, str], said_so: list[str]
) -> None:
    text = boss.post(url(lived), asked(**changes)).content.decode()
    for words in said_so:
        assert words in text
    assert 'name="confirmed"' not in text
    assert not Backfill.objects.exists()


def test_nothing_to_make_up_is_said_and_cannot_be_confirmed(lived: Schedule, boss: Client) -> None:
    text = boss.post(url(lived), asked(begin="2026-02-25T09:00", end="2026-02-25T09:30")).content.decode()
    assert "No fire is to be made up in this range. Left out: 1 fire with a run." in text
    assert 'name="confirmed"' not in text


def test_a_viewer_may_not_and_another_tenants_job_is_not_there(
    lived: Schedule, staff: Any, fleet: dict[str, Any]
) -> None:
    viewer, operator = staff("viewer"), staff("operator")
    assert viewer.post(url(lived), asked()).status_code == 403
    assert operator.get(url(fleet["foreign"])).status_code == 404
    assert operator.post(url(fleet["foreign"]), asked()).status_code == 404
    assert "11 runs would be queued" in operator.post(url(lived), asked()).content.decode()


def test_a_backfill_is_told_on_its_page_and_cancelled_there(
    lived: Schedule, boss: Client, staff: Any, fleet: dict[str, Any]
) -> None:
    shown = boss.post(url(lived), asked())
    boss.post(url(lived), asked(confirmed=confirmation(shown)))
    backfill = Backfill.objects.get()
    page = f"/admin/schedules/backfill/{backfill.pk}/"
    text = text_of(boss.get(f"{page}change/"))
    assert "Wed 25 Feb 09:00 Asia/Shanghai" in text
    assert "Queued 11" in text
    assert "b" + str(backfill.pk) in text_of(boss.get("/admin/schedules/backfill/"))
    runs = boss.get(f"/admin/schedules/run/?backfill__id__exact={backfill.pk}")
    assert Run.objects.filter(backfill=backfill).first().job_run_id in runs.content.decode()
    assert staff("viewer").post(f"{page}cancel/", {"_form_submitted": "True"}).status_code == 403
    assert "11 runs" in said(boss.post(f"{page}cancel/", {"_form_submitted": "True"}))
    assert set(Run.objects.filter(backfill=backfill).values_list("status", flat=True)) == {"cancelled"}
    assert boss.post(f"{page}change/", {"planned": 1}).status_code == 403
    assert boss.post(f"{page}delete/", {"post": "yes"}).status_code == 403
