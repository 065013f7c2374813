"""``manage.py blackout``: made, changed, shown in words and deleted from a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from fleet.models import AuditEntry, Organisation
from schedules.models import BlackoutCalendar
from tests.console import Manage

pytestmark = pytest.mark.usefixtures("redis_down")
WINDOWS = ("--windows", "sat,sun", "--windows", "12-24..01-02", "--timezone", "Asia/Shanghai")


@pytest.fixture(autouse=True)
def organisation(transactional_db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


@pytest.fixture(autouse=True)
def friday() -> Iterator[None]:
    with time_machine.travel("2026-02-27T12:00:00Z", tick=False):
        yield


def job(manage: Manage, name: str) -> None:
    more = ("--executor", "test.trace", "--payload", '{"trace": "/dev/null"}')
    answer = manage("job", "create", "--displayname", name, "--schedule", "0 2 * * *", *more)
    assert answer.code == 0, answer.err


def test_set_makes_a_calendar_and_changes_what_is_said(manage: Manage) -> None:
    job(manage, "nightly")
    job(manage, "weekly")
    made = manage("blackout", "set", "holidays", *WINDOWS, "--for", "nightly", "weekly")
    assert (made.code, made.out) == (0, "holidays\n"), made.err
    assert "for nightly, weekly" in made.err
    assert "2026-02-28 00:00:00 Asia/Shanghai" in made.err
    changed = manage("blackout", "set", "holidays", "--for-all")
    assert "every job" in changed.err
    row = BlackoutCalendar.objects.get()
    assert (row.windows, row.for_all, row.schedules.count()) == ("sat,sun\n12-24..01-02", True, 0)
    manage("blackout", "set", "holidays", "--for", "none")
    row.refresh_from_db()
    assert (row.for_all, row.schedules.count()) == (False, 0)
    actions = AuditEntry.objects.filter(object_type="blackoutcalendar").order_by("pk")
    assert [(each.action, each.actor_kind) for each in actions] == [
        ("blackout.create", "command"),
        ("blackout.update", "command"),
        ("blackout.update", "command"),
    ]


def test_listing_says_windows_in_words_and_when_the_next_one_is(manage: Manage) -> None:
    assert "blackout set" in manage("blackout", "ls").err
    assert manage("blackout", "ls", "--json").json == []
    manage("blackout", "set", "holidays", *WINDOWS, "--for-all")
    listed = manage("blackout", "ls").out
    assert "Every Saturday and Sunday, all day" in listed
    assert "2026-02-28 00:00:00 Asia/Shanghai (in 4 h) to 2026-03-02 00:00:00 Asia/Shanghai: sat,sun" in listed
    assert "every job" in listed
    shown = manage("blackout", "show", "holidays").out
    assert "12-24..01-02   Every year from 24 December through 2 January" in shown
    [machine] = manage("blackout", "ls", "--json").json
    assert machine == manage("blackout", "show", "holidays", "--json").json
    assert machine["next"]["start"] == "2026-02-27T16:00:00+00:00"


def test_inside_a_window_it_says_until_when(manage: Manage) -> None:
    manage("blackout", "set", "today", "--windows", "2026-02-27", "--for-all")
    assert "now, until 2026-02-28 00:00:00 UTC (in 12 h)" in manage("blackout", "ls").out
    manage("blackout", "set", "today", "--windows", "2026-02-26")
    assert "none to come" in manage("blackout", "show", "today").out


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("set", "holidays", "--windows", "saturn"), 2, ["saturn", "sat"]),
        (("set", "holidays", "--timezone", "Asia/Shangai"), 2, ["Asia/Shangai", "Asia/Shanghai"]),
        (("set", "holidays"), 2, ["--windows"]),
        (("set", "holiday", "--for-all"), 2, ["Did you mean 'holidays'", "--windows"]),
        (("set", "Holi Days", "--windows", "sat"), 2, ["'Holi Days'", "christmas"]),
        (("set", "holidays", "--for", "nightli"), 1, ["'nightli'", "Did you mean 'nightly'"]),
        (("show", "holiday"), 1, ["Did you mean 'holidays'"]),
        (("delete", "holidays"), 2, ["--yes"]),
    ],
)
def test_a_refusal_names_value_and_way_out(
    manage: Manage, arguments: tuple[str, ...], code: int, said: list[str]
) -> None:
    job(manage, "nightly")
    manage("blackout", "set", "holidays", *WINDOWS, "--for-all")
    answer = manage("blackout", *arguments)
    assert answer.code == code, answer.err
    for text in said:
        assert text in answer.err
    assert list(BlackoutCalendar.objects.values_list("name", "for_all")) == [("holidays", True)]


def test_delete_asks_or_needs_yes(manage: Manage) -> None:
    manage("blackout", "set", "holidays", *WINDOWS, "--for-all")
    assert manage("blackout", "delete", "holidays", "--yes").code == 0
    assert not BlackoutCalendar.objects.exists()


def test_another_organisations_calendar_is_not_there(manage: Manage) -> None:
    manage("blackout", "set", "holidays", *WINDOWS)
    Organisation.objects.create(slug="other", name="Other")
    assert manage("blackout", "show", "holidays", "--org", "other").code == 1
    assert manage("blackout", "show", "holidays", "--org", "main").code == 0
