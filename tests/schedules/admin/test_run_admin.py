"""Runs through the admin's own addresses: to be read, retried and cancelled."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from fleet.models import AuditEntry
from schedules.models import Run, RunLogChunk
from schedules.services.runs import run_cancel, run_now
from tests.admin_fleet import ADDRESS, SYSTEM
from tests.schedules.admin.reading import said

LIST = "/admin/schedules/run/"
DONE = {"_form_submitted": "True"}


@pytest.fixture
def run(fleet: dict[str, Any]) -> Run:
    return run_now(schedule=fleet["schedule"], actor=SYSTEM).run


def page(run: Run) -> str:
    return reverse("admin:schedules_run_change", args=(run.pk,))


def test_a_run_cannot_be_added_changed_or_deleted(boss: Client, run: Run) -> None:
    assert boss.get(f"{LIST}add/").status_code == 403
    assert boss.post(page(run), {"status": "success"}).status_code == 403
    assert boss.post(f"{LIST}{run.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Run.objects.get().status == "queued"


def test_the_list_tells_the_waits_apart(boss: Client, run: Run) -> None:
    rows = Run.objects.filter(pk=run.pk)
    assert "for a slot" in boss.get(f"{LIST}?wait=slot").content.decode()
    rows.update(next_attempt_at=timezone.now() + timezone.timedelta(minutes=5), attempt=2)
    text = boss.get(f"{LIST}?wait=time").content.decode()
    assert re.search(r"attempt 2 in [45] min", text), re.findall(r"attempt 2.{0,40}", text)
    rows.update(admission_token="t", admitted_at=timezone.now())
    assert "admitted" in boss.get(f"{LIST}?wait=admitted").content.decode()
    assert run.job_run_id not in boss.get(f"{LIST}?wait=slot").content.decode()


def test_the_page_tells_what_happened(boss: Client, run: Run, settings: Any) -> None:
    settings.WATCHBILL = dataclasses.replace(settings.WATCHBILL, flower_url="http://127.0.0.1:5555/")
    lines = [[1_700_000_000_000 + number, "stdout", f"line {number} <b>"] for number in range(400)]
    RunLogChunk.objects.create(run=run, attempt=1, number=0, lines=lines)
    text = boss.get(page(run)).content.decode()
    assert "run now by tests" in text
    assert f"http://127.0.0.1:5555/task/{run.job_run_id}.1" in text
    assert "line 399 &lt;b&gt;" in text
    assert "line 99 " not in text
    whole = boss.get(f"{LIST}{run.pk}/log/")
    assert whole.headers["Content-Type"].startswith("text/plain")
    assert len(whole.content.decode().splitlines()) == 400


def test_cancel_then_retry_keeps_the_lineage(boss: Client, run: Run) -> None:
    assert boss.get(f"{LIST}{run.pk}/cancel/").status_code == 200
    assert Run.objects.get().status == "queued"
    assert "Cancelled: " in said(boss.post(f"{LIST}{run.pk}/cancel/", DONE))
    response = boss.post(f"{LIST}{run.pk}/retry/", DONE)
    again = Run.objects.get(retry_of=run)
    assert again.job_run_id in said(response)
    assert again.job_run_id in boss.get(page(run)).content.decode()
    assert run.job_run_id in boss.get(page(again)).content.decode()
    trail = AuditEntry.objects.get(action="run.cancel")
    assert (trail.actor, trail.address) == ("boss", ADDRESS)


def test_bulk_retry_and_cancel_say_which_worked(boss: Client, fleet: dict[str, Any], run: Run) -> None:
    over = run_now(schedule=fleet["schedule"], actor=SYSTEM).run
    run_cancel(run=over, actor=SYSTEM)
    rows = [run.pk, over.pk]
    text = said(boss.post(LIST, {"action": "retry_selected", "_selected_action": rows}))
    assert f"Retry requested: {over.job_run_id}." in text
    assert f"{run.job_run_id}: The run {run.job_run_id} is not over yet" in text
    text = said(boss.post(LIST, {"action": "cancel_selected", "_selected_action": rows}))
    assert f"Cancelled or asked to end: {run.job_run_id}." in text
    assert "is over already" in text


def test_a_run_of_a_deleted_schedule_is_still_told(boss: Client, fleet: dict[str, Any], run: Run) -> None:
    boss.post(f"/admin/schedules/schedule/{fleet['schedule'].pk}/delete/", {"post": "yes"})
    assert "nightly-backup (deleted)" in boss.get(page(run)).content.decode()
    assert boss.get(LIST).status_code == 200


def test_filters_and_search_answer(boss: Client, run: Run) -> None:
    today = "created_at__gte=2000-01-01+00%3A00%3A00Z"
    for query in (
        f"q={run.job_run_id}",
        "status__exact=queued",
        "trigger__exact=manual",
        "executor=container.command",
        today,
    ):
        assert run.job_run_id in boss.get(f"{LIST}?{query}").content.decode()
    assert run.job_run_id not in boss.get(f"{LIST}?status__exact=failed").content.decode()
