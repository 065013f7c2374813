"""Our own YAML: read strictly, written in one form, and read again as it was."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import given, settings

from schedules.exchange import Document, JobDocument, Refused, as_json, read, write_yaml
from tests.schedules.exchange.job_strategies import documents

NIGHTLY = """\
version: 1

blackouts:
  holidays:
    timezone: Europe/Berlin
    windows: |-
      12-24..01-02
      sat,sun
    for_all: true

jobs:
  nightly:
    display_name: Nightly backup
    description: |-
      Two lines,
      one backup.
    enabled: false
    paused_reason: moving house
    expression: 0 2 * * *
    timezone: Asia/Shanghai
    starts_at: '2026-03-01T00:00:00Z'
    run_after: scan
    run_after_on: always
    blackouts:
    - holidays
    agent: agent
    executor: container.command
    payload:
      command: docker exec agent s3 backup
    retry_delays:
    - 30
    - 60

  scan:
    expression: '@daily'
    executor: lead.scan
"""


def yaml_document(text: str) -> Document:
    return read(text.encode(), kind="yaml")


def problems(text: str) -> list[str]:
    try:
        return [str(problem) for problem in yaml_document(text).problems]
    except Refused as error:
        return [str(problem) for problem in error.problems]


def job(fields: str) -> str:
    return f"version: 1\njobs:\n  nightly:\n    executor: lead.scan\n    {fields}\n"


def test_what_is_written_is_what_was_read() -> None:
    document = yaml_document(NIGHTLY)
    assert document.problems == ()
    assert write_yaml(document) == NIGHTLY


def test_every_field_of_a_job_is_read() -> None:
    nightly = yaml_document(NIGHTLY).job_values()["nightly"]
    assert nightly == JobDocument(
        name="nightly",
        display_name="Nightly backup",
        description="Two lines,\none backup.",
        enabled=False,
        paused_reason="moving house",
        expression="0 2 * * *",
        timezone="Asia/Shanghai",
        starts_at=datetime(2026, 3, 1, tzinfo=UTC),
        run_after="scan",
        run_after_on="always",
        blackouts=("holidays",),
        agent="agent",
        executor="container.command",
        payload={"command": "docker exec agent s3 backup"},
        retry_delays=(30, 60),
    )


def test_a_job_is_called_by_its_name_unless_it_says_otherwise() -> None:
    assert yaml_document(NIGHTLY).job_values()["scan"].display_name == "scan"


def test_a_section_that_is_left_out_differs_from_an_empty_one() -> None:
    document = yaml_document("version: 1\njobs:\n")
    assert (document.jobs, document.blackouts) == ((), None)


def test_other_writers_forms_are_read_as_meant() -> None:
    text = "version: 1\njobs: {nightly: {executor: lead.scan, enabled: False, max_retries: ~, payload: {keep: 5}}}"
    nightly = yaml_document(text).job_values()["nightly"]
    assert (nightly.enabled, nightly.max_retries, nightly.payload) == (False, None, {"keep": 5})


def test_what_yaml_takes_for_a_date_or_base_60_is_the_text_that_was_typed() -> None:
    assert yaml_document(job("payload: {day: 2026-12-24, time: 22:00, code: 007}")).job_values()["nightly"].payload == {
        "day": "2026-12-24",
        "time": "22:00",
        "code": "007",
    }


def test_calendars_are_a_set() -> None:
    assert yaml_document(job("blackouts: [b, a, b]")).job_values()["nightly"].blackouts == ("a", "b")


def test_a_number_is_a_good_name() -> None:
    text = "version: 1\njobs:\n  2024:\n    executor: lead.scan\n"
    assert list(yaml_document(text).job_values()) == ["2024"]
    assert list(yaml_document(write_yaml(yaml_document(text))).job_values()) == ["2024"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (job("expresion: '@daily'"), "line 5 (nightly): there is no field 'expresion'. Did you mean 'expression'?"),
        (job("schedule: '@daily'"), "line 5 (nightly): there is no field 'schedule'. It is called 'expression' here."),
        (job("name: other"), "The name is the key above."),
        (job("xyz: 1"), "There are: display_name, description"),
        ("version: 1\njob: {}\n", "line 2: there is no section 'job'. Did you mean 'jobs'?"),
        ("jobs: {}\n", "line 1: the version is missing; write version: 1 above all"),
        ("version: 2\n", "line 1: version 2 is not known"),
        ("version: true\n", "line 1: version True is not known"),
        ("- a\n", "line 1: a mapping is expected"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("version: 1\njobs: []\n", "line 2: jobs is a mapping of names"),
        ("version: 1\njobs:\n  nightly:\n", "line 3 (nightly): a mapping of fields is expected"),
        ("version: 1\njobs:\n  nightly: {}\n", "line 3 (nightly): executor is missing"),
        (job("enabled: 'false'"), 'line 5 (nightly): enabled "false" has to be true or false'),
        (job("enabled: no"), "line 5: no is text to some readers, to others not: write true or false"),
        (job("payload: {x: 1e5}"), 'write 1.0e+5, or "1e5"'),
        (job("priority: high"), 'line 5 (nightly): priority "high" has to be a whole number'),
        (job("priority: -1"), "line 5 (nightly): priority -1 has to be 0 or more"),
        (job("max_runs: 99999999999"), "line 5 (nightly): max_runs 99999999999 is too large"),
        (job("description: 5"), "line 5 (nightly): description 5 has to be text; put it in quotes"),
        (job("payload: text"), 'line 5 (nightly): payload "text" has to be a mapping'),
        (job("blackouts: holidays"), 'line 5 (nightly): blackouts "holidays" has to be a list'),
        (job("starts_at: 2026-03-01T02:00:00"), "has no offset; try 2026-03-01T02:00:00Z"),
        (job("starts_at: tomorrow"), 'line 5 (nightly): starts_at "tomorrow" is not an instant'),
        (job("starts_at: 0001-01-01T00:00:00+08:00"), "is not an instant"),
        (job("paused_reason: why"), "line 3 (nightly): paused_reason belongs to a paused job"),
        (job('description: "a\\0b"'), "NUL"),
        (job("timezone: UTC\n    timezone: UTC"), "line 6: 'timezone' stands here again; it is in line 5 already"),
        (job("expression: @daily"), 'put the value in quotes: "@daily"'),
        (job("expression: * * * * *"), 'put the value in quotes: "* * * * *"'),
        (job("expression: */5 * * * *"), 'put the value in quotes: "*/5 * * * *"'),
        (job("payload: &a {x: 1}"), "anchors and aliases are not read"),
        (job("payload: {x: &a 1, y: *a}"), "line 5: anchors and aliases are not read"),
        (job("description: !!str 5"), "line 5: tags (tag:yaml.org,2002:str) are not read"),
        (job("payload: !!python/object/apply:os.system [ls]"), "are not read"),
        (job("? [a, b]\n    : c"), "a name is expected here, not a list or a mapping"),
        (job("a: b: c"), "line 5: is not YAML"),
        (job("\tdescription: x"), "indent with blanks, not tabs"),
        (f"{job('priority: 1')}---\nversion: 1\n", "line 6: a second document begins here"),
        (job(f"payload: {'[' * 100}{']' * 100}"), "line 5: is nested more than 64 deep"),
        (job("description: \x07"), "line 5: holds the control character U+0007"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line_and_the_way_out(text: str, told: str) -> None:
    (problem,) = problems(text)
    assert told in problem


def test_everything_that_is_wrong_is_told_at_once() -> None:
    text = "version: 1\njobs:\n  a: {executor: 5, priority: x}\n  b: {wrong: 1, executor: x}\n  c: {executor: x}\n"
    assert [problem.partition(":")[0] for problem in problems(text)] == ["line 3 (a)", "line 3 (a)", "line 4 (b)"]


def test_a_file_that_is_too_large_or_no_text_is_refused() -> None:
    with pytest.raises(Refused, match="at most"):
        read(b" " * 9_000_000)
    with pytest.raises(Refused, match="line 2: is not UTF-8"):
        read(b"version: 1\n\xff")


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    lines = ["version: 1", "a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    (problem,) = problems("\n".join(lines))
    assert problem.startswith("line 2: anchors")


@settings(deadline=None, max_examples=60)
@given(document=documents())
def test_what_is_written_is_read_again_by_us_and_by_any_reader(document: Document) -> None:
    text = write_yaml(document)
    again = yaml_document(text)
    assert again.problems == ()
    assert again.job_values() == document.job_values()
    assert again.blackout_values() == document.blackout_values()
    assert write_yaml(again) == text
    loaded = yaml.safe_load(text)
    assert loaded["jobs"] == {name: job.changed_fields() for name, job in document.job_values().items()}
    assert json.loads(json.dumps(as_json(document))) == loaded


def test_the_order_of_what_is_given_does_not_show() -> None:
    document = yaml_document(NIGHTLY)
    backwards = Document(jobs=(document.jobs or ())[::-1], blackouts=(document.blackouts or ())[::-1])
    assert write_yaml(backwards) == NIGHTLY


def test_a_line_of_blanks_is_refused_at_once() -> None:
    """The hint looks at the line: it must not try each of its blanks as the end of the value."""
    begun = time.monotonic()
    with pytest.raises(Refused):
        read(("version: 1\njobs: @" + " " * 100_000 + "x").encode(), kind="yaml")
    assert time.monotonic() - begun < 5
