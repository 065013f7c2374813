"""Random worlds: no limit is ever exceeded, each fire has one outcome, nobody waits in vain, the order is fair."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import DAY, MIDNIGHT, line, minutes

from schedules.forecast.jobs import Job, Limits, Line
from schedules.forecast.outcomes import Outcome
from schedules.forecast.simulation import Simulation
from schedules.forecast.waiting import AGEING

THROUGH = MIDNIGHT + DAY
STARTED = {"ran", "cancelled"}

fires = st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True).map(sorted)
blackouts = st.lists(st.tuples(st.integers(0, 59), st.integers(1, 15)), max_size=2).map(
    lambda pieces: [(at, at + length, "dark") for at, length in sorted(pieces)][:1]
)


@st.composite
def lines(draw: st.DrawFn, key: int, holds: tuple[str, ...]) -> Line:
    return line(
        key,
        draw(fires),
        takes=draw(st.sampled_from([0, 3, 10, 10, 25, 60])),
        late=draw(st.sampled_from([0, 0, 0.25])),
        agent=draw(st.sampled_from([None, 1, 1, 1, 2])),
        limit=draw(st.integers(1, 3)),
        priority=draw(st.integers(0, 9)),
        overlap=draw(st.sampled_from(["queue_all", "skip", "queue_one", "queue_all", "cancel_running"])),
        hold=draw(st.sampled_from(holds)),
        start_within=draw(st.sampled_from([None, None, None, minutes(5)])),
        runs_left=draw(st.sampled_from([None, None, None, 2])),
        follows=draw(st.sampled_from([None, None, *range(key)])),
        follows_cancelled=draw(st.booleans()),
        grace=draw(st.sampled_from([minutes(0), minutes(5)])),
        black=draw(blackouts),
    )


@st.composite
def worlds(
    draw: st.DrawFn, holds: tuple[str, ...] = ("shared", "shared", "shared", "exclusive", "recovery")
) -> dict[str, Any]:
    count = draw(st.integers(2, 6))
    return {
        "lines": [draw(lines(key, holds)) for key in range(count)],
        "limits": Limits(
            organisation=draw(st.integers(1, 6)), agents={1: draw(st.integers(1, 3)), 2: draw(st.integers(1, 2))}
        ),
    }


def outcomes_of(world: dict[str, Any]) -> list[Outcome]:
    return list(Simulation(**world, start=MIDNIGHT, through=THROUGH).outcomes())


def stays(outcomes: list[Outcome]) -> list[tuple[datetime, datetime, Outcome]]:
    """From when to when each run was at work; those of no length hold nothing."""
    return [
        (each.started, each.ended or THROUGH, each)
        for each in outcomes
        if each.started and each.started < (each.ended or THROUGH)
    ]


def at_work(outcomes: list[Outcome], moment: datetime) -> list[Job]:
    return [each.job for start, end, each in stays(outcomes) if start <= moment < end]


def moments(outcomes: list[Outcome]) -> Iterator[datetime]:
    yield from sorted({each.started for each in outcomes if each.started})


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_no_limit_is_ever_exceeded(world: dict[str, Any]) -> None:
    outcomes = outcomes_of(world)
    limits: Limits = world["limits"]
    for moment in moments(outcomes):
        jobs = at_work(outcomes, moment)
        limited = [job for job in jobs if job.hold != "recovery"]
        assert len(limited) <= limits.organisation
        for job, count in Counter(job.key for job in limited).items():
            assert count <= world["lines"][job].job.limit
        for agent, limit in limits.agents.items():
            there = [job for job in jobs if job.agent == agent]
            assert len(there) <= limit
            if any(job.hold != "shared" for job in there):
                assert len(there) == 1, "somebody has the agent alone"


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_each_expected_fire_has_exactly_one_outcome(world: dict[str, Any]) -> None:
    seen = Counter((each.job.key, each.fire) for each in outcomes_of(world) if each.fire)
    expected = Counter((each.job.key, fire.fire) for each in world["lines"] for fire in each.fires)
    assert seen == expected


@settings(max_examples=120, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_same_world_gives_the_same_outcomes_in_whatever_order_it_is_told(
    world: dict[str, Any], shuffler: random.Random
) -> None:
    shuffled = shuffler.sample(world["lines"], len(world["lines"]))
    assert outcomes_of(world) == outcomes_of({**world, "lines": shuffled})


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_runs_take_what_they_take(world: dict[str, Any]) -> None:
    for each in outcomes_of(world):
        if each.kind == "ran" and each.started and each.ended:
            assert each.ended - each.started == each.job.duration
        if each.started:
            assert each.started >= each.due
            assert (each.wait is not None) == (each.started > each.due)
        if each.kind == "late":
            assert each.started is None
        if each.started and each.job.start_within is not None:
            assert each.waited <= each.job.start_within
        assert (each.started is None) == (each.kind not in STARTED) or each.kind == "cancelled"


@settings(max_examples=120, deadline=None)
@given(worlds())
def test_policies_hold(world: dict[str, Any]) -> None:
    outcomes = outcomes_of(world)
    for each in world["lines"]:
        mine = [outcome for outcome in outcomes if outcome.job.key == each.job.key and outcome.fire]
        planned = [outcome for outcome in mine if outcome.kind not in {"overlap", "blackout", "limit"}]
        if each.job.runs_left is not None:
            assert len(planned) <= each.job.runs_left
        for outcome in mine:
            assert (outcome.kind == "blackout") == (each.black.text_at(outcome.fire) is not None)
        if each.job.overlap == "skip":
            spans = sorted((outcome.fire, outcome.ended or THROUGH) for outcome in planned if outcome.kind == "ran")
            assert all(end <= following for (_, end), (following, _) in pairwise(spans))
        else:
            assert not [outcome for outcome in mine if outcome.kind == "overlap"] or each.job.overlap == "queue_one"


@settings(max_examples=150, deadline=None)
@given(worlds(holds=("shared",)))
def test_nobody_waits_while_there_is_room(world: dict[str, Any]) -> None:
    outcomes = outcomes_of(world)
    for moment in moments(outcomes):
        jobs = at_work(outcomes, moment)
        for each in outcomes:
            until = each.started or each.ended or (THROUGH if each.kind == "waiting" else each.due)
            if each.kind == "late":
                until = each.due + (each.job.start_within or DAY)
            if not (each.due <= moment < until):
                continue
            own, agent = each.job.key, each.job.agent
            full = (
                len(jobs) >= world["limits"].organisation,
                sum(job.key == own for job in jobs) >= each.job.limit,
                agent is not None and sum(job.agent == agent for job in jobs) >= world["limits"].agents[agent],
            )
            assert any(full), f"{each.job.name} waits at {moment} for nothing"


@settings(max_examples=150, deadline=None)
@given(worlds(holds=("shared",)))
def test_those_that_need_the_same_start_in_their_order(world: dict[str, Any]) -> None:
    """Priority plus minutes waited decides between two that wait for the same agent and have room of their own."""
    roomy = [
        Line(job=Job(**{**vars(each.job), "limit": 1000}), fires=each.fires, black=each.black)
        for each in world["lines"]
    ]
    started = [each for each in outcomes_of({**world, "lines": roomy}) if each.started]
    for first in started:
        for other in started:
            same = first.job.agent == other.job.agent
            assert first.started
            assert other.started
            # Earlier, not at once: the end of a run of no length may make another of the same instant.
            if same and other.due < first.started < other.started:
                urgency = [(each.due - each.job.priority * AGEING, each.due) for each in (first, other)]
                assert urgency[0] <= urgency[1]


@settings(max_examples=120, deadline=None)
@given(worlds(holds=("shared", "exclusive")))
def test_a_waiting_exclusive_is_not_passed_by_younger_runs_of_its_agent(world: dict[str, Any]) -> None:
    outcomes = outcomes_of(world)
    for alone in outcomes:
        if alone.job.hold != "exclusive" or alone.job.agent is None or alone.started is None:
            continue
        for other in outcomes:
            shared = other.job.hold == "shared" and other.job.agent == alone.job.agent
            if shared and other.started and other.due > alone.due:
                assert not alone.due <= other.started < alone.started
