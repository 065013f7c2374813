"""What would make one document equal to another: a comparison, in an order in which it can be carried out."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.exchange import BlackoutDocument, Document, Entry, FieldChange, JobDocument, Plan, plan
from schedules.exchange.order import circles, leaders_first
from schedules.exchange.references import reference_problems

NAMES = st.sampled_from("abcdef")
FOLLOWED = st.dictionaries(NAMES, st.none() | NAMES)


def job(name: str, **fields: Any) -> Entry[JobDocument]:
    return Entry(value=JobDocument.model_validate({"name": name, "executor": "x", **fields}), lines={"run_after": 7})


def calendar(name: str, windows: str = "sat") -> Entry[BlackoutDocument]:
    return Entry(value=BlackoutDocument(name=name, windows=windows))


def document(*jobs: Entry[JobDocument], blackouts: tuple[Entry[BlackoutDocument], ...] = ()) -> Document:
    return Document(jobs=jobs, blackouts=blackouts)


def steps(made: Plan) -> list[str]:
    return [f"{step.action} {step.name}" for step in made.steps]


def test_nothing_differs_nothing_to_do() -> None:
    here = document(job("a", payload={"x": 1}), job("b"), blackouts=(calendar("c"),))
    assert plan(now=here, wanted=here, prune=True) == Plan(steps=(), unchanged=("a", "b"), kept=())


def test_a_change_names_the_fields_before_and_after() -> None:
    now = document(job("a", priority=5, payload={"keep": 5, "old": 1}))
    wanted = document(job("a", priority=7, payload={"keep": 9, "new": None}))
    (step,) = plan(now=now, wanted=wanted, prune=False).steps
    assert step.changes == (
        FieldChange(field="payload.keep", before=5, after=9),
        FieldChange(field="payload.new", before=None, after=None),
        FieldChange(field="payload.old", before=1, after=None),
        FieldChange(field="priority", before=5, after=7),
    )
    assert step.fields == {"payload", "priority"}


def test_numbers_that_python_takes_for_equal_are_not() -> None:
    for old, new in ((1, True), (1, 1.0), (0, False)):
        made = plan(
            now=document(job("a", payload={"x": old})), wanted=document(job("a", payload={"x": new})), prune=False
        )
        assert steps(made) == ["update a"]


def test_pausing_and_enabling_are_steps_of_their_own() -> None:
    running, paused = job("a"), job("a", enabled=False, paused_reason="why", priority=1)
    assert steps(plan(now=document(running), wanted=document(paused), prune=False)) == ["update a", "pause a"]
    assert steps(plan(now=document(paused), wanted=document(running), prune=False)) == ["update a", "enable a"]
    other = job("a", enabled=False, paused_reason="another", priority=1)
    assert steps(plan(now=document(paused), wanted=document(other), prune=False)) == ["pause a"]


def test_leaders_are_made_first_and_deleted_last() -> None:
    chain = document(job("a", run_after="b"), job("b", run_after="c"), job("c"), blackouts=(calendar("d"),))
    assert steps(plan(now=document(), wanted=chain, prune=False)) == ["create d", "create c", "create b", "create a"]
    pruned = plan(now=chain, wanted=document(), prune=True)
    assert steps(pruned) == ["delete a", "delete b", "delete c", "delete d"]


def test_a_turned_chain_is_never_a_circle_on_the_way() -> None:
    now = document(job("a", run_after="b"), job("b"))
    wanted = document(job("a"), job("b", run_after="a"))
    assert steps(plan(now=now, wanted=wanted, prune=False)) == ["update a", "update b"]


def test_what_is_not_in_the_file_is_kept_unless_pruned() -> None:
    now = document(job("a"), job("b"), blackouts=(calendar("c"),))
    assert plan(now=now, wanted=document(job("a")), prune=False).kept == ("b", "c")
    assert steps(plan(now=now, wanted=document(job("a")), prune=True)) == ["delete b", "delete c"]


def test_a_section_that_is_left_out_is_left_alone() -> None:
    now = document(job("a"), blackouts=(calendar("b"),))
    made = plan(now=now, wanted=Document(jobs=(), blackouts=None), prune=True)
    assert steps(made) == ["delete a"]
    assert plan(now=now, wanted=Document(jobs=None, blackouts=None), prune=True).steps == ()


def test_a_deletion_names_what_is_lost() -> None:
    (step,) = plan(now=document(job("a", priority=7)), wanted=document(), prune=True).steps
    assert FieldChange(field="priority", before=7, after=None) in step.changes


def problems(now: Document, wanted: Document, *, prune: bool = False) -> list[str]:
    return [str(problem) for problem in reference_problems(now=now, wanted=wanted, prune=prune)]


def test_names_have_to_be_known() -> None:
    now = document(job("nightly"), blackouts=(calendar("holidays"),))
    wanted = document(job("a", run_after="nightly", blackouts=["holidays"]), job("b", run_after="nigtly"))
    assert problems(now, wanted) == ["line 7 (b): run_after: there is no job 'nigtly'. Did you mean 'nightly'?"]
    (job_gone, calendar_gone, _) = problems(now, wanted, prune=True)
    assert "'nightly' is not in the file, so --prune would delete it" in job_gone
    assert "'holidays' is not in the file" in calendar_gone


def test_circles_are_refused_by_name() -> None:
    wanted = document(
        job("b", run_after="c"), job("c", run_after="a"), job("a", run_after="b"), job("d", run_after="d")
    )
    told = problems(document(), wanted)
    assert len(told) == 2
    assert "(a → b → c → a)" in told[0]
    assert "(d → d)" in told[1]


def test_a_circle_through_a_job_that_is_left_alone_is_seen() -> None:
    now = document(job("a", run_after="b"), job("b"))
    assert "(a → b → a)" in problems(now, document(job("b", run_after="a")))[0]


@settings(deadline=None)
@given(followed=FOLLOWED)
def test_each_job_comes_after_the_one_that_it_follows_unless_they_go_in_a_circle(
    followed: dict[str, str | None],
) -> None:
    order = leaders_first(followed)
    assert sorted(order) == sorted(followed)
    late = {name for name, leader in followed.items() if leader in order and order.index(leader) >= order.index(name)}
    rounds = list(circles(followed))
    assert {name for name in late if not any(name in each for each in rounds)} == set()
    assert bool(late) == bool(rounds)
    for each in rounds:
        assert [followed[name] for name in each] == [*each[1:], each[0]]
