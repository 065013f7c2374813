"""The judge must be able to find something: each kind of violation, fabricated, is counted."""

from __future__ import annotations

import pytest

from tests.chaos import judge
from tests.chaos.timeline import WAKING_SECONDS, Line, parse, stretches

DOZE = 10.0
SCOPES = "organisation:o,schedule:s"


def told(*rows: str, scopes: str = SCOPES) -> list[Line]:
    """``time kind run attempt execution``, with the scopes added."""
    return parse("\n".join(f"{row} {scopes}" for row in rows))


def work(run: str, begin: float, end: float, *, attempt: int = 1, name: str = "", last: str = "effect") -> list[str]:
    """The lines of an execution that works in steps of half a second."""
    tail = f"{run} {attempt} {name or f'{run}.{attempt}'}"
    steps = [f"{begin + step / 2:.3f} alive {tail}" for step in range(int((end - begin) * 2))]
    return [f"{begin} asks {tail}", f"{begin} start {tail}", *steps, f"{end} asks {tail}", f"{end} {last} {tail}"]


def test_one_after_the_other_is_fine() -> None:
    lines = told(*work("r", 1, 2, last="failed"), *work("r", 2.01, 3, attempt=2))
    assert judge.two_at_once(stretches(lines, doze=DOZE)) == []
    assert judge.limits_exceeded(stretches(lines, doze=DOZE), {"organisation:o": 1, "schedule:s": 1}) == []
    assert judge.late_effects(lines, doze=DOZE) == ([], [])
    assert judge.repeated_after_success(lines, {"r": 3.1}) == []
    assert judge.effects_repeated(lines) == 0


def test_two_attempts_at_once_are_found() -> None:
    lines = told(*work("r", 1, 4, last="failed"), *work("r", 3, 5, attempt=2))
    (found,) = judge.two_at_once(stretches(lines, doze=DOZE))
    assert "attempts 1 and 2 were live together for 1.000 s" in found


def test_one_attempt_executed_twice_is_found() -> None:
    lines = told(*work("r", 1, 4, name="one"), *work("r", 2, 3, name="other"))
    assert len(judge.two_at_once(stretches(lines, doze=DOZE))) == 1


def test_an_overlap_of_an_instant_is_found_too() -> None:
    lines = told(*work("r", 1, 4, last="failed"), *work("r", 3.999, 5, attempt=2))
    assert len(judge.two_at_once(stretches(lines, doze=DOZE))) == 1


def test_a_sleeper_that_stops_when_it_wakes_is_forgiven() -> None:
    slept = [*work("r", 1, 2, last="alive"), "20.0 alive r 1 r.1", "20.9 alive r 1 r.1"]
    lines = told(*slept, *work("r", 15, 25, attempt=2))
    live = stretches(lines, doze=DOZE)
    assert judge.two_at_once(live) == []
    assert judge.limits_exceeded(live, {"organisation:o": 1, "schedule:s": 1}) == []


def test_a_sleeper_that_goes_on_working_is_not() -> None:
    end = 20 + WAKING_SECONDS + 0.1
    slept = [*work("r", 1, 2, last="alive"), *work("r", 20, end, last="alive", name="r.1")[2:]]
    lines = told(*slept, *work("r", 15, 25, attempt=2))
    assert len(judge.two_at_once(stretches(lines, doze=DOZE))) == 1


def test_a_sleeper_that_was_stopped_before_its_start_is_forgiven() -> None:
    lines = told("1.0 asks r 1 a", "20.0 start r 1 a", "20.1 stopped r 1 a", *work("r", 15, 25, attempt=2))
    assert judge.two_at_once(stretches(lines, doze=DOZE)) == []


def test_a_short_silence_counts_as_live() -> None:
    busy = ["1.0 asks r 1 a", "1.0 start r 1 a", "9.0 failed r 1 a"]
    lines = told(*busy, *work("r", 4, 5, attempt=2))
    assert len(judge.two_at_once(stretches(lines, doze=DOZE))) == 1


def test_waiting_to_be_told_that_it_is_over_is_no_work() -> None:
    lines = told(
        "1.0 asks r 1 a", "1.0 start r 1 a", "2.0 asks r 1 a", "5.0 stopped r 1 a", *work("r", 4, 6, attempt=2)
    )
    assert judge.two_at_once(stretches(lines, doze=DOZE)) == []


def test_a_limit_that_is_exceeded_is_found() -> None:
    lines = told(*work("a", 1, 4), *work("b", 2, 3), *work("c", 4.5, 5))
    (found,) = judge.limits_exceeded(stretches(lines, doze=DOZE), {"organisation:o": 3, "schedule:s": 1})
    assert found.startswith("schedule:s: 2 of 1 at 2.000")


@pytest.mark.parametrize(("scopes", "expected"), [("agent:x", 0), ("agent:x!", 1)])
def test_a_run_that_needs_its_agent_alone_fills_it(scopes: str, expected: int) -> None:
    lines = told(*work("a", 1, 4), scopes="agent:x") + told(*work("b", 2, 3), scopes=scopes)
    assert len(judge.limits_exceeded(stretches(lines, doze=DOZE), {"agent:x": 2})) == expected


def test_a_start_after_a_committed_success_is_found() -> None:
    lines = told(*work("r", 1, 2), *work("r", 3, 4, attempt=2))
    (found,) = judge.repeated_after_success(lines, {"r": 2.05})
    assert "attempt 2 started 0.950 s after its success" in found
    assert judge.effects_repeated(lines) == 1


def test_an_effect_of_an_attempt_that_was_overtaken_is_found() -> None:
    lines = told(*work("r", 1, 4), *work("r", 3, 3.5, attempt=2))
    wrong, slept = judge.late_effects(lines, doze=DOZE)
    assert len(wrong) == 1
    assert slept == []


def test_an_effect_of_one_that_slept_between_asking_and_acting_is_told_apart() -> None:
    lines = told(*work("r", 1, 2)[:-1], "30.0 effect r 1 r.1", *work("r", 15, 16, attempt=2))
    wrong, slept = judge.late_effects(lines, doze=DOZE)
    assert wrong == []
    assert len(slept) == 1


def test_a_success_that_did_nothing_is_found() -> None:
    lines = told(*work("a", 1, 2), *work("b", 1, 2, last="failed"))
    assert [text.split(":")[0] for text in judge.successes_without_effect(lines, ["a", "b", "c"])] == ["b", "c"]


def test_a_line_that_was_cut_off_is_left_out() -> None:
    assert parse(f"1.0 start r 1 a {SCOPES}\n2.0 ali") == told("1.0 start r 1 a")
