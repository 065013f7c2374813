"""Blackout calendars: what they may be, whom they hold for, and what the trail says of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fleet.actors import Actor
from fleet.errors import InvalidInput, NameTaken, NotFound
from fleet.models import AuditEntry, Organisation
from schedules.models import BlackoutCalendar, Schedule
from schedules.services.blackouts import (
    blackout_create,
    blackout_delete,
    blackout_named,
    blackout_next,
    blackout_update,
)
from schedules.services.schedules import schedule_create

ACTOR = Actor.system("test")
FRIDAY = datetime(2026, 2, 27, 12, tzinfo=UTC)


@pytest.fixture
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="ours", name="Ours")


@pytest.fixture
def other(db: None) -> Organisation:
    return Organisation.objects.create(slug="theirs", name="Theirs")


def job(organisation: Organisation, name: str = "nightly") -> Schedule:
    payload = {"trace": "/dev/null"}
    return schedule_create(
        organisation=organisation, display_name=name, executor="test.trace", payload=payload, actor=ACTOR
    )


def calendar(organisation: Organisation, **values: Any) -> BlackoutCalendar:
    values = {"name": "weekends", "windows": "sat,sun", "timezone": "Asia/Shanghai"} | values
    return blackout_create(organisation=organisation, actor=ACTOR, **values)


def trail(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def test_a_calendar_is_made_changed_and_deleted_each_with_its_row(organisation: Organisation) -> None:
    row = calendar(organisation, windows="sat,sun  \r\n12-24..01-02 # holidays\n", schedules=[job(organisation)])
    assert row.windows == "sat,sun\n12-24..01-02 # holidays"
    assert trail("blackout.create").after == {
        "name": "weekends",
        "timezone": "Asia/Shanghai",
        "windows": row.windows,
        "for_all": False,
        "schedules": ["nightly"],
    }
    later = job(organisation, "later")
    changed = blackout_update(calendar=row, actor=ACTOR, windows="sun", schedules=[later])
    assert [each.name for each in changed.schedules.all()] == ["later"]
    entry = trail("blackout.update")
    assert entry.before == {"windows": row.windows, "schedules": ["nightly"]}
    assert entry.after == {"windows": "sun", "schedules": ["later"]}
    blackout_delete(calendar=row, actor=ACTOR)
    assert not BlackoutCalendar.objects.exists()
    assert trail("blackout.delete").before["schedules"] == ["later"]


def test_what_is_not_named_stays_and_no_change_leaves_no_row(organisation: Organisation) -> None:
    row = calendar(organisation, schedules=[job(organisation)])
    blackout_update(calendar=row, actor=ACTOR, windows="sat,sun\r\n", timezone="Asia/Shanghai")
    assert not AuditEntry.objects.filter(action="blackout.update").exists()
    changed = blackout_update(calendar=row, actor=ACTOR, for_all=True)
    assert (changed.windows, changed.for_all, changed.schedules.count()) == ("sat,sun", True, 1)


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"name": "Not A Name"}, "name", ["'Not A Name'", "calendar name", "christmas"]),
        ({"windows": ""}, "windows", ["sat,sun"]),
        ({"windows": "# nothing\n\n"}, "windows", ["# nothing", "sat,sun"]),
        ({"windows": "sat,sun\nsaturn"}, "windows", ["saturn", "line 2", "sat"]),
        ({"windows": "2026-12-24..2026-12-01"}, "windows", ["2026-12-01..2026-12-24"]),
        ({"windows": "# " + "x" * 20_000}, "windows", ["20000 characters"]),
        ({"timezone": "Asia/Shangai"}, "timezone", ["Asia/Shangai", "Asia/Shanghai"]),
        ({"colour": "red"}, "colour", ["timezone"]),
    ],
)
def test_a_refusal_names_field_value_and_a_way_out(
    organisation: Organisation, change: dict[str, str], field: str, said: list[str]
) -> None:
    row = calendar(organisation, name="there")
    with pytest.raises(InvalidInput) as making:
        calendar(organisation, **change)
    with pytest.raises(InvalidInput) as changing:
        blackout_update(calendar=row, actor=ACTOR, **change)
    for refusal in (making.value, changing.value):
        assert refusal.field == field
        for text in said:
            assert text in refusal.message
    assert list(BlackoutCalendar.objects.values_list("name", "windows")) == [("there", "sat,sun")]


def test_a_taken_name_is_said_so(organisation: Organisation, other: Organisation) -> None:
    calendar(organisation)
    calendar(other)
    with pytest.raises(NameTaken) as refusal:
        calendar(organisation)
    assert refusal.value.field == "name"
    row = calendar(organisation, name="second")
    with pytest.raises(NameTaken):
        blackout_update(calendar=row, actor=ACTOR, name="weekends")


def test_another_organisations_job_is_not_there(organisation: Organisation, other: Organisation) -> None:
    foreign = job(other, "theirs-nightly")
    with pytest.raises(NotFound) as refusal:
        calendar(organisation, schedules=[foreign])
    assert (refusal.value.field, "theirs-nightly" in refusal.value.message) == ("schedules", True)
    row = calendar(organisation, name="second")
    with pytest.raises(NotFound):
        blackout_update(calendar=row, actor=ACTOR, schedules=[foreign])
    assert not row.schedules.exists()


def test_a_mistyped_name_is_answered_with_a_near_one(organisation: Organisation, other: Organisation) -> None:
    calendar(organisation)
    assert blackout_named(organisation, "weekends").name == "weekends"
    with pytest.raises(NotFound, match="Did you mean 'weekends'"):
        blackout_named(organisation, "weekend")
    with pytest.raises(NotFound):
        blackout_named(other, "weekends")


def test_the_next_window_is_that_which_holds_now_or_the_first_to_come(organisation: Organisation) -> None:
    row = calendar(organisation)
    saturday = (datetime(2026, 2, 27, 16, tzinfo=UTC), datetime(2026, 3, 1, 16, tzinfo=UTC), "sat,sun")
    assert blackout_next(row, FRIDAY) == saturday
    assert blackout_next(row, saturday[0]) == saturday
    assert blackout_next(calendar(organisation, name="past", windows="2020-01-01"), FRIDAY) is None
    leap = blackout_next(calendar(organisation, name="leap", windows="02-29", timezone="UTC"), FRIDAY)
    assert leap is not None
    assert leap.start == datetime(2028, 2, 29, tzinfo=UTC)


def test_a_damaged_row_has_no_next_window(organisation: Organisation) -> None:
    row = calendar(organisation)
    row.windows = "nonsense"
    assert blackout_next(row, FRIDAY) is None
