"""Housekeeping entries in the admin: what a task would refuse at night is refused when it is typed."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django_celery_beat.models import IntervalSchedule, PeriodicTask

URL = "/admin/django_celery_beat/periodictask/add/"


def form(**changes: str) -> dict[str, Any]:
    daily, _ = IntervalSchedule.objects.get_or_create(every=1, period="days")
    given = {"name": "mine", "task": "housekeeping.prune_logs", "enabled": "on", "interval": str(daily.pk)}
    return given | {"args": "[]", "kwargs": "{}", "headers": "{}"} | changes


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"kwargs": '{"dayz": 3}'}, "housekeeping.prune_logs takes days, minutes, not dayz."),
        ({"kwargs": '{"days": -3}'}, "days must be a whole number from 1 to 36500, not -3."),
        ({"kwargs": '{"days": "abc"}'}, "days must be a whole number from 1 to 36500, not"),
        ({"kwargs": '{"days": 1e400}'}, "days must be a whole number from 1 to 36500, not inf."),
        ({"kwargs": "[1]"}, "Give a JSON object, such as"),
        ({"kwargs": "null"}, "Give a JSON object, such as"),
        ({"args": "[3]"}, "each by its name"),
        ({"task": "housekeeping.prune_workers", "kwargs": '{"days": 3}'}, "takes no arguments, not days."),
        ({"kwargs": "not json"}, "Unable to parse JSON"),
    ],
)
def test_what_the_task_would_refuse_is_refused_here(changes: dict[str, str], told: str, boss: Client) -> None:
    answer = boss.post(URL, form(**changes))
    assert answer.status_code == 200
    assert told in answer.content.decode()
    assert not PeriodicTask.objects.filter(name="mine").exists()


@pytest.mark.parametrize("kwargs", ["{}", '{"days": 7, "minutes": 1}'])
def test_what_it_takes_is_stored(kwargs: str, boss: Client) -> None:
    assert boss.post(URL, form(kwargs=kwargs)).status_code == 302
    assert PeriodicTask.objects.get(name="mine").kwargs == kwargs
