"""What a line of a blackout calendar may say, what is refused, and what it is in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.timing import ExpressionError, Window, describe_blackout, parse_blackouts
from schedules.timing.blackouts import MOST_WINDOWS

DESCRIPTIONS = [
    ("2026-12-24", "On 2026-12-24, all day", "2026-12-24 全天"),
    ("2026-12-24..2026-12-26", "From 2026-12-24 through 2026-12-26", "2026-12-24 至 2026-12-26（含）"),
    ("12-25", "Every year on 25 December, all day", "每年 12 月 25 日全天"),
    ("02-29", "Every year on 29 February, all day", "每年 2 月 29 日全天"),
    ("07-01..07-14", "Every year from 1 July through 14 July", "每年 7 月 1 日至 7 月 14 日（含）"),
    ("12-24..01-02", "Every year from 24 December through 2 January", "每年 12 月 24 日至次年 1 月 2 日（含）"),
    ("sun", "Every Sunday, all day", "每周日全天"),
    ("SAT,Sun", "Every Saturday and Sunday, all day", "每周六、周日全天"),
    ("sun-sat", "Every day, all day", "每天全天"),
    ("fri-sun,wed", "Every Sunday, Wednesday, Friday and Saturday, all day", "每周三、周五、周六、周日全天"),
    ("mon-fri 22:00-06:00", "Every weekday from 22:00 to 06:00 the next day", "每个工作日 22:00 至次日 06:00"),
    ("tue 12:00-13:30", "Every Tuesday from 12:00 to 13:30", "每周二 12:00 至 13:30"),
    ("22:00-06:00", "Every day from 22:00 to 06:00 the next day", "每天 22:00 至次日 06:00"),
    ("22:00-24:00", "Every day from 22:00 to 24:00", "每天 22:00 至 24:00"),
    ("22:00-00:00", "Every day from 22:00 to 24:00", "每天 22:00 至 24:00"),
    ("00:00-24:00", "Every day, all day", "每天全天"),
    (
        *("2026-12-24T18:00..2026-12-27T08:00", "From 2026-12-24 18:00 to 2026-12-27 08:00"),
        "2026-12-24 18:00 至 2026-12-27 08:00",
    ),
    (
        *("2026-12-24T18:00..2026-12-24T24:00", "From 2026-12-24 18:00 to 2026-12-25 00:00"),
        "2026-12-24 18:00 至 2026-12-25 00:00",
    ),
]

NO_FORM = "is no day"
PERIOD = (datetime(2026, 2, 25, tzinfo=UTC), datetime(2026, 3, 25, tzinfo=UTC))
REFUSED = [
    ("2026-02-30", "the calendar has no 2026-02-30", "2026-02-28"),
    ("2026-02-30..2026-13-40", "the calendar has no 2026-13-40", "2026-02-28..2026-12-31"),
    ("1969-12-31", "the year has to be between 1970 and 9997", "1970-12-31"),
    ("9998-01-01", "the year has to be between 1970 and 9997", "9997-01-01"),
    ("2026-12-26..2026-12-24", "ends before it begins", "2026-12-24..2026-12-26"),
    ("02-30", "the calendar has no 02-30", "02-29"),
    ("00-10..13-32", "the calendar has no 00-10", "01-10..12-31"),
    ("saturday", "weekdays are written", "sat"),
    ("mo-fr 22:00-06:00", "weekdays are written", "mon-fri 22:00-06:00"),
    ("25:00-06:00", "the clock shows no 25:00", "23:59-06:00"),
    ("24:00-06:00", "the clock shows no 24:00", "23:59-06:00"),
    ("22:00-24:01", "the clock shows no 24:01", "22:00-24:00"),
    ("22:60-06:00", "the clock shows no 22:60", "22:59-06:00"),
    ("06:00-06:00", "ends at the time at which it begins", "00:00-24:00"),
    ("sat 06:00-06:00", "ends at the time at which it begins", "sat"),
    ("2026-12-24T18:00", "needs a time at both ends", "2026-12-24T18:00..2026-12-24T24:00"),
    ("2026-12-24..2026-12-27T08:00", "needs a time at both ends", "2026-12-24T00:00..2026-12-27T08:00"),
    (
        *("2026-12-27T08:00..2026-12-24T18:00", "has to end after it begins"),
        "2026-12-24T18:00..2026-12-27T08:00",
    ),
    ("2026-12-24T18:00..2026-12-24T18:00", "has to end after it begins", "mon-fri 22:00-06:00"),
    ("9:00-17:00", NO_FORM, "09:00-17:00"),
    ("22:00 – 06:00", NO_FORM, "22:00-06:00"),
    ("Monday to Friday 9:00-17:00", NO_FORM, "mon-fri 09:00-17:00"),
    ("2026/12/24", NO_FORM, "2026-12-24"),
    ("2026-12-24 - 2026-12-26", NO_FORM, "2026-12-24..2026-12-26"),
    ("2026-12-24 18:00 until 2026-12-27 8:00", NO_FORM, "2026-12-24T18:00..2026-12-27T08:00"),
    ("12-24 - 01-02", NO_FORM, "12-24..01-02"),
    ("sat and sun", NO_FORM, "sat,sun"),
    ("mon 2026-12-24", NO_FORM, "sat,sun"),
    ("mon 22:00", NO_FORM, "mon-fri 22:00-06:00"),
    ("22:00:00-06:00:00", NO_FORM, "mon-fri 22:00-06:00"),
    ("٢٢:٠٠-٠٦:٠٠", NO_FORM, "mon-fri 22:00-06:00"),
    ("* * * * *", NO_FORM, "2026-12-24..2026-12-26"),
]


@pytest.mark.parametrize(("line", "english", "chinese"), DESCRIPTIONS)
def test_each_form_in_both_languages(line: str, english: str, chinese: str) -> None:
    assert parse_blackouts(line, timezone="UTC").lines
    assert describe_blackout(line) == english
    assert describe_blackout(f"  {line}  # a comment", language="zh") == chinese


def test_a_window_is_described_by_its_line() -> None:
    calendar = parse_blackouts("mon-fri 22:00-06:00", timezone="Asia/Shanghai")
    window = next(calendar.windows(*PERIOD))
    assert isinstance(window, Window)
    assert describe_blackout(window) == "Every weekday from 22:00 to 06:00 the next day"


@pytest.mark.parametrize(("line", "reason", "example"), REFUSED)
def test_a_refusal_names_the_line_the_reason_and_a_way_out(line: str, reason: str, example: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_blackouts(f"sat,sun  # weekends\n\n{line} # wrong", timezone="UTC")
    problem = caught.value
    assert (problem.field, problem.value, problem.example) == ("windows", line, example)
    assert problem.reason.startswith(f"line 3: {reason}")
    assert parse_blackouts(example, timezone="UTC").lines


def test_the_message_as_a_whole() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_blackouts("12-25\n2026-02-30", timezone="UTC")
    expected = 'windows "2026-02-30": line 2: the calendar has no 2026-02-30; try "2026-02-28"'
    assert str(caught.value) == expected


def test_the_zone_of_a_calendar_is_checked() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_blackouts("sat,sun", timezone="Asia/Shangai")
    assert (caught.value.field, caught.value.example) == ("timezone", "Asia/Shanghai")


def test_a_calendar_has_an_end() -> None:
    assert len(parse_blackouts("sat\n" * MOST_WINDOWS, timezone="UTC").lines) == MOST_WINDOWS
    with pytest.raises(ExpressionError, match=f"line {MOST_WINDOWS + 1}: .* at most {MOST_WINDOWS}") as caught:
        parse_blackouts("sat\n" * (MOST_WINDOWS + 1), timezone="UTC")
    assert parse_blackouts(caught.value.example, timezone="UTC")


def test_blank_lines_and_comments_are_left_out() -> None:
    text = "\n# the winter freeze\n  2026-12-24..2026-12-26   # Christmas\r\n\t\n12-31#\n#"
    assert [line.text for line in parse_blackouts(text, timezone="UTC").lines] == ["2026-12-24..2026-12-26", "12-31"]


linelike = st.lists(
    st.sampled_from(
        [
            *("2026-12-24", "2026-02-30", "0000-00-00", "12-24", "99-99", "T18:00", "22:00", "6:00", "99:99", "24:00"),
            *("..", "-", ",", " ", "mon", "fri", "Sunday", "x", "#", "to", "/", "\n"),
        ]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(linelike | st.text(max_size=30))
def test_any_text_is_a_calendar_or_a_clear_error_and_can_be_described(text: str) -> None:
    assert isinstance(describe_blackout(text), str)
    assert isinstance(describe_blackout(text, language="zh"), str)
    problem = problem_of(text)
    if problem is not None:
        assert problem.field == "windows"
        assert problem.value in " ".join(text.split())
        assert parse_blackouts(problem.example, timezone="UTC").lines
        assert "\n" not in str(problem)


def problem_of(text: str) -> ExpressionError | None:
    try:
        parse_blackouts(text, timezone="Asia/Shanghai")
    except ExpressionError as problem:
        return problem
    return None


@pytest.mark.parametrize("text", ["", "#", "x" * 10_000, "\0", "\ud800", ",".join(["mon"] * 5000), "é-ü 22:00-06:00"])
def test_describing_raises_nothing(text: str) -> None:
    assert len(describe_blackout(text)) < 400
