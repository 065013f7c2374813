"""One rule a test: small mornings whose outcome can be told beforehand."""

from __future__ import annotations

from small_world import MIDNIGHT, line, minute, minutes, simulate, told

from schedules.forecast.jobs import Limits, Present
from schedules.forecast.outcomes import Wait
from schedules.forecast.simulation import Simulation


def test_a_run_starts_when_it_is_due_and_takes_what_it_takes() -> None:
    (outcome,) = simulate(line(1, [60], takes=12))
    assert (outcome.kind, outcome.fire, outcome.started, outcome.ended) == ("ran", minute(60), minute(60), minute(72))
    assert outcome.wait is None


def test_two_at_once_on_an_agent_of_one_queue() -> None:
    first, second = simulate(line(1, [120], agent=7, takes=12), line(2, [120], agent=7), agents={7: 1})
    assert (first.job.name, first.started) == ("job-1", minute(120))
    assert (second.job.name, second.started, second.waited) == ("job-2", minute(132), minutes(12))
    assert second.wait == Wait(scope="agent", limit=1, behind=("job-1",))
    assert second.beside == ()


def test_the_more_urgent_of_two_goes_first() -> None:
    outcomes = simulate(line(1, [120], agent=7), line(2, [120], agent=7, priority=6), agents={7: 1})
    assert told(outcomes) == [("job-2", "ran", 120), ("job-1", "ran", 130)]


def test_a_minute_of_waiting_is_worth_a_step_of_priority() -> None:
    busy = line(1, [0], takes=60, agent=7)
    late = [line(2, [10], agent=7, priority=5), line(3, [14], agent=7, priority=9), line(4, [15], agent=7, priority=9)]
    assert told(simulate(busy, *late, agents={7: 1}))[1:] == [
        ("job-2", "ran", 60),
        ("job-3", "ran", 70),
        ("job-4", "ran", 80),
    ]


def test_the_organisation_s_limit_holds_for_all() -> None:
    outcomes = simulate(*(line(key, [5]) for key in (1, 2, 3)), organisation=2)
    assert told(outcomes) == [("job-1", "ran", 5), ("job-2", "ran", 5), ("job-3", "ran", 15)]
    assert outcomes[2].wait == Wait(scope="organisation", limit=2, behind=("job-1", "job-2"))


def test_its_own_limit_holds_for_each() -> None:
    outcomes = simulate(line(1, [0, 1, 2], overlap="queue_all", limit=2))
    assert told(outcomes) == [("job-1", "ran", 0), ("job-1", "ran", 1), ("job-1", "ran", 10)]
    assert outcomes[2].wait == Wait(scope="schedule", limit=2, behind=("job-1",))


def test_who_is_full_itself_does_not_keep_its_agent_from_others() -> None:
    full = line(1, [0, 1], overlap="queue_all", agent=7, takes=60)
    assert ("job-2", "ran", 2) in told(simulate(full, line(2, [2], agent=7), agents={7: 2}))
    freed = line(3, [0], agent=7, takes=5)
    waits = line(2, [2], agent=7)
    assert ("job-2", "ran", 5) in told(simulate(full, waits, freed, agents={7: 2}))


def test_overlap_skip_and_queue_one() -> None:
    fires = [0, 1, 2, 3, 25]
    kinds = {
        overlap: [kind for _, kind, _ in sorted(told(simulate(line(1, fires, overlap=overlap))), key=str)]
        for overlap in ("skip", "queue_one", "queue_all")
    }
    assert kinds["skip"].count("overlap") == 3
    assert kinds["queue_one"].count("overlap") == 2, "one at work, one waits"
    assert kinds["queue_all"].count("ran") == 5


def test_cancel_running_replaces_the_active_run() -> None:
    outcomes = simulate(line(1, [0, 4], overlap="cancel_running"))
    assert told(outcomes) == [("job-1", "cancelled", 0), ("job-1", "ran", 4)]
    assert outcomes[0].ended == minute(4)
    assert outcomes[0].text == "job-1"


def test_a_fire_inside_a_blackout_is_no_run_and_its_end_is_outside() -> None:
    outcomes = simulate(line(1, [9, 10, 19, 20], takes=0, black=[(10, 20, "christmas")]))
    assert [each.kind for each in outcomes] == ["ran", "blackout", "blackout", "ran"]
    assert outcomes[1].text == "christmas"


def test_after_its_last_run_a_fire_becomes_none() -> None:
    outcomes = simulate(line(1, [0, 1, 20, 40], runs_left=2))
    assert sorted(each.kind for each in outcomes) == ["limit", "overlap", "ran", "ran"], "a skipped fire is no run"


def test_who_could_not_start_in_time_gives_up_and_lets_the_next_of_its_job_be_judged() -> None:
    busy = line(1, [0], takes=60, agent=7)
    hasty = line(2, [5, 56], overlap="queue_all", agent=7, start_within=minutes(5))
    assert told(simulate(busy, hasty, agents={7: 1})) == [
        ("job-2", "late", None),
        ("job-1", "ran", 0),
        ("job-2", "ran", 60),
    ]


def test_a_slot_that_comes_free_at_the_last_moment_is_taken() -> None:
    busy, hasty = line(1, [0], takes=10, agent=7), line(2, [5], agent=7, start_within=minutes(5))
    assert ("job-2", "ran", 10) in told(simulate(busy, hasty, agents={7: 1}))


def test_one_that_was_cancelled_while_it_waited_is_passed_over() -> None:
    busy = line(1, [0], takes=60, agent=7)
    restless = line(2, [5, 6, 7], overlap="cancel_running", agent=7)
    assert told(simulate(busy, restless, agents={7: 1})) == [
        ("job-2", "cancelled", None),
        ("job-2", "cancelled", None),
        ("job-1", "ran", 0),
        ("job-2", "ran", 60),
    ]


def test_jitter_puts_a_run_off_and_it_counts_as_active_meanwhile() -> None:
    outcomes = simulate(line(1, [0, 4], late=5))
    assert told(outcomes) == [("job-1", "overlap", None), ("job-1", "ran", 5)]
    assert outcomes[1].wait is None


def test_an_exclusive_waits_for_its_agent_and_bars_younger_runs() -> None:
    busy = line(1, [0], takes=30, agent=7)
    alone = line(2, [10], agent=7, hold="exclusive")
    younger = line(3, [11], agent=7, priority=9)
    outcomes = simulate(busy, alone, younger, agents={7: 5})
    assert told(outcomes) == [("job-1", "ran", 0), ("job-2", "ran", 30), ("job-3", "ran", 40)]
    assert outcomes[1].wait == Wait(scope="alone", limit=1, behind=("job-1",))
    assert outcomes[2].wait == Wait(scope="held", limit=1, behind=("job-2",))


def test_of_two_exclusives_the_more_urgent_goes_first() -> None:
    busy = line(1, [0], takes=30, agent=7)
    older, urgent = line(2, [10], agent=7, hold="exclusive"), line(3, [11], agent=7, hold="exclusive", priority=9)
    assert told(simulate(busy, older, urgent, agents={7: 5}))[1:] == [("job-3", "ran", 30), ("job-2", "ran", 40)]


def test_a_recovery_lets_them_go_on_for_its_grace_and_nobody_comes_meanwhile() -> None:
    busy = [line(1, [0], takes=12, agent=7), line(2, [0], takes=30, agent=7)]
    recovery = line(3, [10], agent=7, hold="recovery", grace=minutes(5))
    outcomes = simulate(*busy, recovery, line(4, [9], agent=7), line(5, [13], agent=7), agents={7: 2})
    assert told(outcomes) == [
        ("job-1", "ran", 0),
        ("job-2", "cancelled", 0),
        ("job-3", "ran", 15),
        ("job-4", "ran", 25),
        ("job-5", "ran", 25),
    ]
    assert outcomes[1].ended == minute(15)
    assert outcomes[3].wait == Wait(scope="agent", limit=2, behind=("job-1", "job-2"))
    assert outcomes[4].wait == Wait(scope="held", limit=1, behind=("job-3",))


def test_a_recovery_passes_full_limits_and_cancels_who_holds_its_agent() -> None:
    busy = line(1, [0], takes=30, agent=7)
    others = line(2, [0], takes=30, agent=8)
    outcomes = simulate(busy, others, line(3, [10], agent=7, hold="recovery"), organisation=2, agents={7: 1, 8: 1})
    assert told(outcomes) == [("job-1", "cancelled", 0), ("job-3", "ran", 10), ("job-2", "ran", 0)]
    assert outcomes[0].text == "job-3"


def test_a_run_follows_another() -> None:
    outcomes = simulate(line(1, [0, 60]), line(2, follows=1, takes=5))
    assert told(outcomes) == [("job-1", "ran", 0), ("job-2", "ran", 10), ("job-1", "ran", 60), ("job-2", "ran", 70)]
    assert outcomes[1].fire is None


def test_what_follows_always_follows_a_cancelled_run_too() -> None:
    restless = line(1, [0, 4], overlap="cancel_running")
    followers = [line(2, follows=1, takes=1), line(3, follows=1, takes=1, follows_cancelled=True)]
    starts = [(name, start) for name, _, start in told(simulate(restless, *followers)) if name != "job-1"]
    assert sorted(starts) == [("job-2", 14), ("job-3", 4), ("job-3", 14)]


def test_beside_names_who_is_at_work_on_the_agent() -> None:
    outcomes = simulate(line(1, [0], agent=7), line(2, [5], agent=7), line(3, [5]), agents={7: 2})
    assert {each.job.name: each.beside for each in outcomes} == {"job-1": (), "job-2": ("job-1",), "job-3": ()}


def test_what_is_there_at_the_beginning_counts() -> None:
    present = [
        Present(job=1, due=minute(-5), started=minute(-4)),
        Present(job=1, due=minute(-3), scheduled=False),
        Present(job=2, due=minute(-60), started=minute(-60)),  # longer than usual: may end any moment
    ]
    outcomes = simulate(line(1, [3], takes=10, agent=7), line(2, agent=8), agents={7: 1, 8: 1}, present=present)
    assert told(outcomes) == [
        ("job-2", "ran", -60),
        ("job-1", "overlap", None),
        ("job-1", "ran", -4),
        ("job-1", "ran", 6),
    ]
    assert outcomes[0].ended == MIDNIGHT


def test_at_the_end_some_are_at_work_and_some_still_wait() -> None:
    outcomes = simulate(line(1, [1430], takes=60, agent=7), line(2, [1435], agent=7), agents={7: 1})
    assert told(outcomes) == [("job-1", "ran", 1430), ("job-2", "waiting", None)]
    assert outcomes[0].ended is None


def test_too_many_runs_end_it_early_and_it_says_where() -> None:
    chain = [line(1, [1], takes=0, follows=2), line(2, takes=0, follows=1)]
    simulation = Simulation(
        chain, limits=Limits(organisation=1), start=MIDNIGHT, through=MIDNIGHT + minutes(600), most=50
    )
    assert len(list(simulation.outcomes())) <= 52
    assert simulation.through == minute(1)
