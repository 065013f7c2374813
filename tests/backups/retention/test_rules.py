"""Which archives stay."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from backups.retention.copies import Copy
from backups.retention.rules import Rules, verdicts

NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def copy(number: int, age: timedelta, *, good: bool = True, span: timedelta = timedelta(0)) -> Copy:
    return Copy(id=number, name=f"a{number}", since=NOW - age - span, until=NOW - age, size=10, is_good=good)


def kept(copies: list[Copy], **rules: int) -> list[int]:
    return sorted(verdict.copy.id for verdict in verdicts(copies, Rules(**rules), now=NOW) if verdict.is_kept)


def test_the_newest_few() -> None:
    copies = [copy(number, number * DAY) for number in range(8)]
    assert kept(copies, last=5) == [0, 1, 2, 3, 4]


def test_an_age() -> None:
    copies = [copy(number, number * 10 * DAY) for number in range(6)]
    assert kept(copies, days=30) == [0, 1, 2, 3]


def test_grandfathers() -> None:
    copies = [copy(number, number * 6 * HOUR) for number in range(400)]
    found = kept(copies, daily=3, weekly=2, monthly=2)
    # 31 March 12:00 is 0; 30 March 18:00 is 3; 29 March 18:00 (a Sunday, the last of its week) is 7;
    # 28 February 18:00 is 123.
    assert found == [0, 3, 7, 123]


def test_one_archive_stands_for_all_the_days_on_which_nothing_changed() -> None:
    quiet = copy(1, 2 * DAY, span=4 * DAY)
    older = copy(2, 8 * DAY)
    assert kept([copy(0, timedelta(0)), quiet, older], daily=5) == [0, 1]
    assert kept([copy(0, timedelta(0)), quiet, older], daily=7) == [0, 1, 2]


def test_what_is_not_good_counts_for_nothing() -> None:
    copies = [copy(number, number * DAY, good=number > 2) for number in range(8)]
    assert kept(copies, last=2) == [0, 1, 2, 3, 4], "the three new ones are not verified yet"
    copies = [copy(number, number * DAY, good=number not in {1, 4}) for number in range(8)]
    assert kept(copies, last=2) == [0, 1, 2]


def test_damaged_ones_do_not_pile_up_behind_a_good_one() -> None:
    copies = [copy(number, number * DAY, good=False) for number in range(8)]
    damaged = [replace(each, is_damaged=True) for each in copies]
    good = copy(9, 9 * DAY)
    assert kept([*damaged, good], last=5) == [0, 1, 2, 9]
    assert kept([*copies, good], last=5) == [*range(8), 9], "those may be good: nobody has read them yet"
    assert kept(damaged, last=5) == list(range(8)), "there is nothing better"
    young = Copy(id=10, name="young", since=NOW, until=NOW, size=1, is_good=True)
    assert kept([young, *damaged], last=5) == [0, 1, 2, 10], "somebody may want to save something from them"


def test_the_last_good_one_stays_whatever_the_rules() -> None:
    copies = [copy(1, 400 * DAY), copy(2, 500 * DAY)]
    (first, second) = verdicts(copies, Rules(days=30), now=NOW)
    assert (first.is_kept, first.why) == (True, ("the last good one",))
    assert (second.is_kept, second.why) == (False, ("not among those of 30 days",))


def test_without_rules_all_stay() -> None:
    assert kept([copy(1, 400 * DAY), copy(2, 500 * DAY)]) == [1, 2]


@pytest.mark.parametrize("rules", [{"last": -1}, {"yearly": 3}, {"last": 5000}, {"days": "x"}])
def test_rules_that_mean_nothing_are_refused(rules: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Rules.model_validate(rules)


copies_of = st.lists(
    st.tuples(st.integers(0, 24 * 400), st.integers(0, 24 * 10), st.booleans()), min_size=1, max_size=40
).map(
    lambda rows: [
        copy(number, age * HOUR, good=good, span=span * HOUR) for number, (age, span, good) in enumerate(rows)
    ]
)
rules_of = st.builds(
    Rules,
    last=st.integers(0, 5),
    days=st.integers(0, 60),
    hourly=st.integers(0, 5),
    daily=st.integers(0, 5),
    weekly=st.integers(0, 5),
    monthly=st.integers(0, 5),
)


@given(copies_of, rules_of)
def test_whatever_the_rules(copies: list[Copy], rules: Rules) -> None:
    found = verdicts(copies, rules, now=NOW)
    assert sorted(verdict.copy.id for verdict in found) == sorted(each.id for each in copies)
    good = [verdict for verdict in found if verdict.copy.is_good]
    assert not good or good[0].is_kept, "the last good one"
    staying = {verdict.copy.id for verdict in found if verdict.is_kept}
    assert len([verdict for verdict in good if verdict.is_kept]) >= min(rules.last, len(good))
    # What goes changes nothing for those that stay: pruning twice is pruning once.
    again = verdicts([each for each in copies if each.id in staying], rules, now=NOW)
    assert {verdict.copy.id for verdict in again if verdict.is_kept} == staying
    # One that is not good never makes a good one go.
    alone = verdicts([each for each in copies if each.is_good], rules, now=NOW)
    assert {verdict.copy.id for verdict in alone if verdict.is_kept} == {v.copy.id for v in good if v.is_kept}


@given(copies_of, rules_of, st.integers(0, 24 * 400))
def test_another_good_copy_lets_no_young_one_go(copies: list[Copy], rules: Rules, age: int) -> None:
    """Adding an older archive removes none that stayed before."""
    before = {
        verdict.copy.id for verdict in verdicts(copies, rules, now=NOW) if verdict.is_kept and verdict.copy.is_good
    }
    oldest = max((NOW - each.since for each in copies), default=timedelta(0))
    older = copy(1000, oldest + age * HOUR + HOUR)
    after = {verdict.copy.id for verdict in verdicts([*copies, older], rules, now=NOW) if verdict.is_kept}
    assert before <= after
