"""The next-time table of Dkron's own parser, row by row, and the rows where this house rules otherwise."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from schedules.timing import ExpressionError, Rule, parse

CASES: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "cases" / "dkron_cron.json").read_text()
)

GAP = "a fixed time in the missing hour fires once, at the first instant after the gap; Dkron skips the day"
AGAIN = "a fixed time in the repeated hour fires the first time only; Dkron fires it twice"
FIVE = "five fields are crontab's own form, which Dkron refuses"
LOST = "Dkron loses a fire at 02:00 that exists once: the clock goes back from 02:00 to 01:30"

# (expression, from) → (why, the first fires by our rule)
EXCEPTIONS: dict[tuple[str, str], tuple[str, list[str]]] = {
    ("TZ=America/New_York 0 30 2 11 Mar ?", "2012-03-11T00:00:00-05:00"): (GAP, ["2012-03-11T07:00Z"]),
    ("TZ=America/New_York 0 0 2 * * ?", "2012-03-11T00:00:00-05:00"): (GAP, ["2012-03-11T07:00Z"]),
    ("TZ=America/New_York 0 30 1 04 Nov ?", "2012-11-04T01:45:00-04:00"): (AGAIN, ["2013-11-04T06:30Z"]),
    ("TZ=America/New_York 0 0 1 * * ?", "2012-11-04T01:00:00-04:00"): (AGAIN, ["2012-11-05T06:00Z"]),
    ("0 0 1 * * ?", "2012-11-04T01:00:00-04:00"): (AGAIN, ["2012-11-05T06:00Z"]),
    ("CRON_TZ=America/New_York 0 30 1 * * *", "2026-11-01T04:30:00Z"): (
        AGAIN,
        ["2026-11-01T05:30Z", "2026-11-02T06:30Z"],
    ),
    ("CRON_TZ=America/New_York 0 30 2 * * *", "2026-03-07T12:00:00Z"): (
        GAP,
        ["2026-03-08T07:00Z", "2026-03-09T06:30Z"],
    ),
    ("CRON_TZ=Europe/London 0 30 1 * * *", "2026-03-28T12:00:00Z"): (
        GAP,
        ["2026-03-29T01:00Z", "2026-03-30T00:30Z"],
    ),
    ("CRON_TZ=Europe/London 0 30 1 * * *", "2026-10-25T00:10:00Z"): (
        AGAIN,
        ["2026-10-25T00:30Z", "2026-10-26T01:30Z"],
    ),
    ("CRON_TZ=Australia/Lord_Howe 0 0 2 * * *", "2026-04-04T12:00:00Z"): (
        LOST,
        ["2026-04-04T15:30Z", "2026-04-05T15:30Z"],
    ),
    ("0 * * * *", "2026-02-25T08:38:12Z"): (FIVE, ["2026-02-25T09:00Z", "2026-02-25T10:00Z"]),
    ("0 0 * * 0", "2026-02-25T08:38:12Z"): (FIVE, ["2026-03-01T00:00Z", "2026-03-08T00:00Z"]),
}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def first_fires(rule: Rule, after: datetime, count: int) -> list[datetime]:
    return list(islice(rule.fires(after, after + timedelta(days=366 * 40)), count))


def name_of(row: dict[str, Any]) -> str:
    return f"{row['expr']} after {row.get('from', '')}"


@pytest.mark.parametrize("row", CASES["upstream_next"], ids=name_of)
def test_upstream_next(row: dict[str, Any]) -> None:
    rule = parse(row["expr"], timezone=row["server_tz"])
    expected = [row["next"]] if row["next"] else []
    if (row["expr"], row["from"]) in EXCEPTIONS:
        expected = EXCEPTIONS[row["expr"], row["from"]][1]
    following = rule.next_after(moment(row["from"]))
    assert ([following] if following else []) == [moment(text) for text in expected]


@pytest.mark.parametrize("row", CASES["upstream_activation_5field"], ids=lambda row: f"{row['expr5']} {row['at']}")
def test_upstream_activation(row: dict[str, Any]) -> None:
    at = moment(row["at"])
    fires = parse(row["expr5"]).next_after(at - timedelta(seconds=1)) == at
    assert fires is row["fires"]


@pytest.mark.parametrize("row", CASES["upstream_errors"], ids=name_of)
def test_upstream_errors(row: dict[str, Any]) -> None:
    with pytest.raises(ExpressionError):
        parse(row["expr"])


@pytest.mark.parametrize("row", CASES["dkron_extcron_tests"], ids=name_of)
def test_dkron_descriptors(row: dict[str, Any]) -> None:
    rule, long_ago = parse(row["expr"]), moment("2012-07-09T14:45:30Z")
    if "equiv" in row:
        assert first_fires(rule, long_ago, 5) == first_fires(parse(row["equiv"]), long_ago, 5)
    else:
        assert rule.next_after(long_ago) == (moment(row["at"]) if row["at"] else None)


@pytest.mark.parametrize("row", CASES["dkron_simple_next"], ids=lambda row: f"@at {row['at']}")
def test_dkron_simple_next(row: dict[str, Any]) -> None:
    expected = moment(row["next"]) if row["next"] else None
    assert parse(f"@at {row['at']}").next_after(moment(row["now"])) == expected


def follows_dkron(row: dict[str, Any]) -> bool:
    return (row["expr"], row["from"]) not in EXCEPTIONS


@pytest.mark.parametrize("row", [*filter(follows_dkron, CASES["oracle"])], ids=name_of)
def test_oracle(row: dict[str, Any]) -> None:
    if "error" in row:
        with pytest.raises(ExpressionError):
            parse(row["expr"], timezone=row["server_tz"])
        return
    after = moment(row["from"])
    rule = parse(row["expr"], timezone=row["server_tz"], anchor=after)
    expected = [moment(text) for text in row.get("next", [])]
    assert first_fires(rule, after, len(expected) or 1) == expected


@pytest.mark.parametrize(("expression", "after"), EXCEPTIONS)
def test_where_this_house_rules_otherwise(expression: str, after: str) -> None:
    rows = [row for key in ("upstream_next", "oracle") for row in CASES[key]]
    row = next(row for row in rows if (row["expr"], row["from"]) == (expression, after))
    why, expected = EXCEPTIONS[expression, after]
    rule = parse(expression, timezone=row["server_tz"])
    ours = first_fires(rule, moment(after), len(expected))
    assert ours == [moment(text) for text in expected], why
    theirs = row["next"] if isinstance(row.get("next"), list) else [row.get("next")]
    assert [text and moment(text) for text in theirs[: len(ours)]] != ours, "no exception any more"


def test_every_row_is_run_and_every_exception_is_one_row() -> None:
    run = {"upstream_next", "upstream_activation_5field", "upstream_errors", "dkron_extcron_tests", "dkron_simple_next"}
    assert set(CASES) == run | {"oracle", "notes"}
    keys = [(row["expr"], row["from"]) for name in ("upstream_next", "oracle") for row in CASES[name]]
    assert len(keys) == len(set(keys))
    assert set(EXCEPTIONS) <= set(keys)
    assert {why for why, _ in EXCEPTIONS.values()} == {GAP, AGAIN, FIVE, LOST}
    answers = {"next", "never", "error"}
    assert all(len(answers & set(row)) == 1 for name in ("upstream_next", "oracle") for row in CASES[name])
