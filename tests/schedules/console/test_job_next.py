"""``manage.py job next``: of an expression, of a saved job, of a whole table on stdin."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fleet.models import Organisation
from schedules.console import next_lines
from tests.console import Manage
from tests.schedule_rows import saved

BERLIN = ("--schedule", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28")

# Where no fixture asks for the database, none may be touched: pytest-django sees to it.


@pytest.fixture
def organisation(db: None) -> Organisation:
    return Organisation.objects.create(slug="main", name="Main")


def lines(manage: Manage, monkeypatch: pytest.MonkeyPatch, *texts: str | bytes) -> list[Any]:
    """The answers to these lines."""
    data = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    answer = manage("job", "next", "--stdin")
    assert (answer.code, answer.err) == (0, "")
    return [json.loads(line) for line in answer.out.splitlines()]


def asked(**changes: Any) -> str:
    return json.dumps({"expr": "0 2 * * *", "timezone": "UTC", "from": "2026-03-01T00:00:00Z", "n": 1} | changes)


def test_a_table_for_a_person(manage: Manage) -> None:
    answer = manage("job", "next", *BERLIN, "-n", "2", "--reader-timezone", "Asia/Shanghai")
    assert answer.code == 0
    assert answer.err == "Every day at 02:30, Europe/Berlin.\n"
    header, first, second = answer.out.splitlines()
    assert header.split() == ["Europe/Berlin", "UTC", "Asia/Shanghai", "FROM", "NOW", "NOTE"]
    assert first.startswith("Sat 2026-03-28 02:30:00 +01:00  Sat 2026-03-28 01:30:00  Sat 2026-03-28 09:30:00 +08:00")
    assert second.startswith("Sun 2026-03-29 03:00:00 +02:00")
    assert second.rstrip().endswith("02:30 does not exist that day: fires at 03:00")


def test_json_for_a_machine(manage: Manage) -> None:
    told = manage("job", "next", *BERLIN, "-n", "2", "--json").json
    assert told["next"] == ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z"]
    assert (told["words"], told["words_zh"]) == (
        "Every day at 02:30, Europe/Berlin",
        "每天 02:30，Europe/Berlin",
    )
    assert told["from"] == "2026-03-27T23:00:00Z", "read in the schedule's zone"
    assert told["fires"][1]["local"] == "2026-03-29T03:00:00+02:00"
    assert told["fires"][1]["note"]["kind"] == "moved"


def test_from_with_an_offset_is_that_instant_and_a_zone_in_the_text_counts(manage: Manage) -> None:
    offset = manage("job", "next", *BERLIN[:4], "--from", "2026-03-28T00:00:00+05:00", "--json").json
    assert offset["from"] == "2026-03-27T19:00:00Z"
    prefix = ("--schedule", "CRON_TZ=Asia/Tokyo 0 2 * * *", "--from", "2026-03-28", "--json")
    assert manage("job", "next", *prefix).json["from"] == "2026-03-27T15:00:00Z"


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("0 0 30 2 *", "It never fires."),
        ("@at 2020-01-01T00:00:00Z", "Its time has passed."),
        ("@manually", "Only when started by hand"),
    ],
)
def test_what_never_fires_is_said_and_is_no_error(manage: Manage, expression: str, said: str) -> None:
    answer = manage("job", "next", "--schedule", expression)
    assert (answer.code, answer.out) == (0, "")
    assert said in answer.err
    assert manage("job", "next", "--schedule", expression, "--json").json["next"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), ["--schedule", "--stdin"]),
        (("job", "--schedule", "@daily"), ["one of the three"]),
        (("--schedule", "0 25 * * *"), ['"25"', '"0 23 * * *"']),
        (("--schedule", "@daily", "--timezone", "Asia/Shanghia"), ["Asia/Shanghia", "Asia/Shanghai"]),
        (("--schedule", "@daily", "--from", "noon"), ['from "noon"', "ISO 8601", "2026-03-01T02:00:00+08:00"]),
        (("--schedule", "@daily", "-n", "0"), ["-n is from 1 to 10,000", "0"]),
        (("--schedule", "@daily", "-n", "10001"), ["10,001"]),
        (("--schedule", "@daily", "--reader-timezone", "Mars"), ["Mars"]),
        (("job", "--timezone", "UTC"), ["--timezone belongs to --schedule"]),
        (("--stdin", "-n", "3"), ["each line says it all"]),
    ],
)
def test_a_refusal_is_one_clear_line(manage: Manage, arguments: tuple[str, ...], said: list[str]) -> None:
    answer = manage("job", "next", *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert all(text in answer.err for text in said)
    assert answer.err.count("\n") == 1


def test_a_saved_job(manage: Manage, organisation: Organisation) -> None:
    saved(organisation, "job", "0 2 * * *", timezone="Asia/Shanghai", max_runs=1, jitter_seconds=90)
    answer = manage("job", "next", "job", "--from", "2026-03-01T00:00")
    assert "Sun 2026-03-01 02:00:00 +08:00" in answer.out
    assert answer.err.splitlines() == [
        "Every day at 02:00, Asia/Shanghai.",
        "Each run is put off by up to 1 min 30 s.",
        "Its last run is that of 2026-03-01 02:00:00 Asia/Shanghai.",
    ]
    assert manage("job", "next", "job", "--json").json["runs_left"] == 1


def test_a_disabled_job_says_so(manage: Manage, organisation: Organisation) -> None:
    saved(organisation, "job", "@daily", enabled=False, paused_reason="moving house")
    answer = manage("job", "next", "job", "-n", "1")
    assert "It is disabled (moving house): these are the fires it would have." in answer.err
    assert len(answer.out.splitlines()) == 2


def test_a_job_that_is_not_there(manage: Manage, organisation: Organisation) -> None:
    saved(organisation, "nightly")
    answer = manage("job", "next", "nigthly")
    assert answer.code == 1
    assert "Did you mean 'nightly'?" in answer.err


def test_a_table_on_stdin(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = lines(
        manage,
        monkeypatch,
        asked(n=2),
        asked(timezone="Asia/Shanghai", **{"from": "2026-03-01T00:00"}),  # read in the schedule's zone
        asked(expr="@every 90s", **{"from": "2026-03-01T00:00:10Z"}),  # counts from there
        asked(expr="0 0 30 2 *"),
        asked(expr="@manually"),
        asked(expr="~ * * * *", name="a"),
    )
    assert answers == [
        {"next": ["2026-03-01T02:00:00Z", "2026-03-02T02:00:00Z"]},
        {"next": ["2026-02-28T18:00:00Z"]},
        {"next": ["2026-03-01T00:01:40Z"]},
        {"next": []},
        {"next": []},
        {"next": ["2026-03-01T00:37:00Z"]},
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "longer than"),
        ("[" * 50_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ("{}", '"expr" is missing'),
        ('{"expr": "@daily", "timezone": "UTC", "from": "2026-01-01"}', '"n" is missing'),
        (asked(expr=5), '"expr" has to be a text'),
        (asked(timezone=None), '"timezone" has to be a text'),
        (asked(**{"from": 0}), '"from" has to be a text'),
        (asked(n="3"), '"n" has to be a whole number'),
        (asked(n=True), '"n" has to be a whole number'),
        (asked(n=1.5), '"n" has to be a whole number'),
        (asked(n=0), '"n" 0: has to be from 1 to 10,000'),
        (asked(n=10_001), '"n" 10001: has to be from 1 to 10,000'),
        (asked(name=1), '"name" has to be a text'),
        (asked(expr="0 25 * * *"), 'hour "25"'),
        (asked(expr="\ud800"), "expression"),
        (asked(timezone="../etc/passwd"), "timezone"),
        (asked(**{"from": "noon"}), 'from "noon"'),
        (asked(expr="x" * 60_000), "longer than 500 characters"),
    ],
)
def test_a_broken_line_is_answered_in_its_place_and_the_next_is_read(
    manage: Manage, monkeypatch: pytest.MonkeyPatch, line: str | bytes, said: str
) -> None:
    broken, good = lines(manage, monkeypatch, line, asked())
    assert said in broken["error"]
    assert list(broken) == ["error"]
    assert good == {"next": ["2026-03-01T02:00:00Z"]}


def test_the_longest_answer_is_given(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    (answer,) = lines(manage, monkeypatch, asked(expr="* * * * *", n=10_000))
    assert len(answer["next"]) == 10_000


def test_a_byte_order_mark_does_no_harm(manage: Manage, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lines(manage, monkeypatch, b"\xef\xbb\xbf" + asked().encode()) == [{"next": ["2026-03-01T02:00:00Z"]}]


def test_ten_thousand_lines_take_a_few_seconds() -> None:
    table = "".join(
        asked(expr=f"{number % 60} {number // 60 % 24} * * {number % 7}", n=10) + "\n" for number in range(10_000)
    )
    began = time.process_time()
    answers = list(next_lines.answers(io.BytesIO(table.encode())))
    assert len(answers) == 10_000
    assert not any("error" in answer for answer in answers)
    assert time.process_time() - began < 10


def test_each_line_is_answered_before_the_next_is_asked(tmp_path: Path) -> None:
    """Through a pipe, as another program would; in a folder without a watch: no database is needed."""
    environment = os.environ | {"WATCHBILL_DATA": str(tmp_path / "none"), "DATABASE_URL": "sqlite:////nowhere/db"}
    with subprocess.Popen(
        [sys.executable, "manage.py", "job", "next", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin
        assert process.stdout
        for _ in range(3):
            process.stdin.write(asked() + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"next": ["2026-03-01T02:00:00Z"]}
        process.stdin.close()
        assert process.wait(timeout=60) == 0
