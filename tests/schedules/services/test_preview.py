"""The preview: words, and the next fires in three zones."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from fleet.errors import InvalidInput
from fleet.models import Organisation
from schedules.models import BlackoutCalendar
from schedules.services.preview import preview_expression, preview_schedule, words_of
from tests.schedule_rows import saved

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.fixture
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


# An expression needs no database: none of these tests asks for one.


def test_words_in_both_languages() -> None:
    words = words_of("0 2 * * 1-5", timezone="Asia/Shanghai")
    assert (words.en, words.zh) == ("Every weekday at 02:00, Asia/Shanghai", "每个工作日 02:00，Asia/Shanghai")


@pytest.mark.parametrize(("expression", "zone"), [("0 25 * * *", "UTC"), ("", "UTC"), ("0 2 * * *", "Nowhere")])
def test_words_never_raise(expression: str, zone: str) -> None:
    words = words_of(expression, timezone=zone)
    assert "not valid" in words.en
    assert "无效" in words.zh


def test_the_next_fires_in_the_schedule_s_zone_utc_and_the_reader_s() -> None:
    preview = preview_expression(
        expression="0 2 * * *", timezone="Asia/Shanghai", after=NEW_YEAR, count=2, reader_timezone="America/New_York"
    )
    first = preview.fires[0]
    assert first.utc.isoformat() == "2026-01-01T18:00:00+00:00"
    assert first.local.isoformat() == "2026-01-02T02:00:00+08:00"
    assert first.reader
    assert first.reader.isoformat() == "2026-01-01T13:00:00-05:00"
    assert (len(preview.fires), preview.ending, preview.kind) == (2, None, "cron")
    assert list(preview.fires[1:]) == [preview.fires[1]]


def test_a_zone_in_the_text_wins() -> None:
    preview = preview_expression(expression="CRON_TZ=Asia/Tokyo 0 2 * * *", timezone="Europe/Berlin", after=NEW_YEAR)
    assert preview.timezone == "Asia/Tokyo"
    assert preview.fires[0].local.isoformat() == "2026-01-02T02:00:00+09:00"


def test_a_clock_change_is_noted_at_its_fire() -> None:
    preview = preview_expression(expression="30 2 * * *", timezone="Europe/Berlin", after=at("2026-03-28T00:00Z"))
    noted = [(fire.local.isoformat(), fire.note.en) for fire in preview.fires if fire.note]
    assert noted == [("2026-03-29T03:00:00+02:00", "02:30 does not exist that day: fires at 03:00")]


@pytest.mark.parametrize(
    ("expression", "ending"), [("0 0 30 2 *", "never"), ("@at 2020-01-01T00:00:00Z", "never"), ("@manually", "manual")]
)
def test_what_never_fires_has_an_empty_preview(expression: str, ending: str) -> None:
    preview = preview_expression(expression=expression, after=NEW_YEAR)
    assert (list(preview.fires), preview.ending) == ([], ending)


def test_dates_bound_it_and_both_belong_to_it() -> None:
    preview = preview_expression(
        expression="@hourly", after=NEW_YEAR, starts_at=at("2026-01-02T00:00Z"), ends_at=at("2026-01-02T02:00Z")
    )
    assert [fire.utc.hour for fire in preview.fires] == [0, 1, 2]
    assert preview.ending == "ended"


def test_an_end_date_behind_the_last_fire_ends_nothing() -> None:
    preview = preview_expression(expression="@at 2026-01-02T00:00:00Z", after=NEW_YEAR, ends_at=at("2026-02-01T00:00Z"))
    assert (len(preview.fires), preview.ending) == (1, "never")


def test_an_interval_counts_from_its_anchor_else_from_the_beginning() -> None:
    of = {"expression": "@every 90m", "after": at("2026-01-01T00:10Z"), "count": 1}
    assert preview_expression(**of).fires[0].utc == at("2026-01-01T01:40Z")  # type: ignore[arg-type]
    assert preview_expression(**of, anchor=NEW_YEAR).fires[0].utc == at("2026-01-01T01:30Z")  # type: ignore[arg-type]


def test_a_hashed_time_needs_the_job_s_name() -> None:
    one, other = (preview_expression(expression="~ ~ * * *", job_name=name, after=NEW_YEAR) for name in ("a", "b"))
    assert one.fires[0].utc != other.fires[0].utc


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"expression": "0 25 * * *"}, "expression", ['hour "25"', "between 0 and 23", '"0 23 * * *"']),
        ({"timezone": "Asia/Shanghia"}, "timezone", ["Asia/Shanghia", "Asia/Shanghai"]),
        ({"reader_timezone": "Berlin"}, "reader_timezone", ["Berlin", "Europe/Berlin"]),
        ({"count": 0}, "count", ["0", "10"]),
        ({"count": 1_000_001}, "count", ["1000001", "1,000,000"]),
    ],
)
def test_a_refusal_names_the_field_the_value_and_what_would_do(
    changes: dict[str, object], field: str, said: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refusal:
        preview_expression(**{"expression": "0 2 * * *", "after": NEW_YEAR} | changes)  # type: ignore[arg-type]
    assert refusal.value.field == field
    assert all(text in refusal.value.message for text in said)


def test_a_naive_datetime_is_an_error() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        preview_expression(expression="0 2 * * *", after=datetime(2026, 1, 1))  # noqa: DTZ001 - that is the point


def test_the_end_of_the_calendar_is_no_accident() -> None:
    preview = preview_expression(expression="@at 9999-12-31T23:00:00Z", timezone="Asia/Tokyo", after=NEW_YEAR)
    assert preview.fires[0].local == preview.fires[0].utc


def test_a_year_of_a_minutely_schedule_takes_less_than_a_second() -> None:
    taken = []
    for _ in range(3):  # the best of three: the machine may be busy
        began = time.process_time()
        preview = preview_expression(expression="* * * * *", timezone="Europe/Berlin", after=NEW_YEAR, count=525_600)
        taken.append(time.process_time() - began)
    assert len(preview.fires) == 525_600
    assert min(taken) < 1


def test_a_saved_schedule_is_bounded_by_its_dates(organisation: Organisation) -> None:
    schedule = saved(organisation, "job", "@daily", starts_at=at("2026-02-01T00:00Z"), ends_at=at("2026-02-03T12:00Z"))
    preview = preview_schedule(schedule=schedule, after=NEW_YEAR)
    assert [fire.utc.day for fire in preview.fires] == [1, 2, 3]
    assert (preview.ending, preview.paused, preview.runs_left) == ("ended", None, None)


def test_what_is_left_of_its_maximum_ends_it(organisation: Organisation) -> None:
    schedule = saved(organisation, "job", "@daily", max_runs=5, planned_runs=3)
    preview = preview_schedule(schedule=schedule, after=NEW_YEAR)
    assert (len(preview.fires), preview.ending, preview.runs_left) == (2, "limit", 2)
    schedule.planned_runs = 5
    assert (len(preview_schedule(schedule=schedule, after=NEW_YEAR).fires), preview.ending) == (0, "limit")


def test_a_fire_in_a_blackout_is_marked_and_is_no_run(organisation: Organisation) -> None:
    schedule = saved(organisation, "job", "@daily", max_runs=3)
    calendar = BlackoutCalendar.objects.create(organisation=organisation, name="move", windows="01-03..01-04")
    calendar.schedules.add(schedule)
    preview = preview_schedule(schedule=schedule, after=NEW_YEAR)
    marked = [(fire.utc.day, fire.blackout) for fire in preview.fires]
    assert marked == [(2, None), (3, "01-03..01-04"), (4, "01-03..01-04"), (5, None), (6, None)]
    assert preview.ending == "limit"


def test_a_disabled_one_shows_the_fires_it_would_have(organisation: Organisation) -> None:
    schedule = saved(organisation, "job", "@daily", enabled=False, paused_reason="moving", jitter_seconds=60)
    preview = preview_schedule(schedule=schedule, after=NEW_YEAR, count=3)
    assert (len(preview.fires), preview.paused, preview.jitter_seconds) == (3, "moving", 60)


def test_a_damaged_row_is_refused_in_words(organisation: Organisation) -> None:
    schedule = saved(organisation, "job", "@daily")
    schedule.expression = "nonsense"
    with pytest.raises(InvalidInput, match="nonsense"):
        preview_schedule(schedule=schedule)


def test_the_default_is_ten_fires_from_now() -> None:
    preview = preview_expression(expression="* * * * *")
    assert len(preview.fires) == 10
    assert timedelta() < preview.fires[0].utc - datetime.now(UTC) <= timedelta(minutes=1)
