"""Logs: whole lines, no secrets, a cap that keeps the end."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from django.db import OperationalError

from schedules.engine.clock import database_now
from schedules.engine.newruns import new_run
from schedules.engine.redaction import Redactor
from schedules.engine.runlog import RunLog
from schedules.models import Run, RunLogChunk, Schedule
from schedules.services.logs import log_lines, log_page


@pytest.fixture
def run(make_schedule: Callable[..., Schedule]) -> Run:
    run = new_run(make_schedule(), database_now())
    run.job_run_id, run.trigger = "m1-log", Run.Trigger.MANUAL
    run.save()
    return run


def log_of(run: Run, *, limit: int = 10_000, secrets: tuple[str, ...] = ()) -> RunLog:
    return RunLog(run_id=run.pk, attempt=1, used_bytes=0, limit_bytes=limit, redact=Redactor(secrets))


def texts(run: Run) -> list[str]:
    return [line.text for line in log_lines(run)]


def test_lines_come_whole_however_they_were_cut(run: Run) -> None:
    log = log_of(run)
    for piece in ("one\ntw", "o\r\nthr", "ee"):
        log.add(piece, "stdout")
    log.flush()
    assert texts(run) == ["one", "two"]
    log.close()
    assert texts(run) == ["one", "two", "three"]


def test_streams_do_not_mix_inside_a_line(run: Run) -> None:
    log = log_of(run)
    log.add("out", "stdout")
    log.add("err\n", "stderr")
    log.add("put\n", "stdout")
    log.close()
    assert [(line.stream, line.text) for line in log_lines(run)] == [("stderr", "err"), ("stdout", "output")]


def test_a_secret_that_came_in_two_pieces_is_masked(run: Run) -> None:
    log = log_of(run, secrets=("s3cr3t-value",))
    log.add("key is s3cr3t-", "stdout")
    log.add("value, keep it\n", "stdout")
    log.close()
    assert texts(run) == ["key is [redacted], keep it"]


def test_past_the_cap_the_end_is_kept(run: Run) -> None:
    log = log_of(run, limit=100)
    for number in range(20_000):
        log.add(f"line {number}\n", "stdout")
    log.add("how it ended\n", "stdout")
    log.close()
    lines = texts(run)
    assert lines[0] == "line 0"
    assert lines[-1] == "how it ended"
    assert any("left out" in line for line in lines)
    assert sum(map(len, lines)) < 100_000
    run.refresh_from_db()
    assert run.log_bytes > 0


def test_a_line_without_end_is_cut(run: Run) -> None:
    log = log_of(run, limit=1_000_000)
    log.add("x" * 100_000, "stdout")
    log.close()
    assert max(map(len, texts(run))) <= 8192
    assert sum(map(len, texts(run))) == 100_000


def test_nul_bytes_do_not_break_the_database(run: Run) -> None:
    log = log_of(run)
    log.add("a\x00b\n", "stdout")
    log.close()
    assert texts(run) == ["a\ufffdb"]


def test_reading_goes_on_where_it_stopped(run: Run) -> None:
    log = log_of(run)
    log.add("one\n", "stdout")
    log.flush()
    page = log_page(run)
    log.add("two\n", "stdout")
    log.flush()
    assert [line.text for line in log_page(run, after=page.cursor).lines] == ["two"]
    assert log_page(run, after=log_page(run).cursor).lines == []
    assert [line.text for line in log_page(run, after="nonsense").lines] == ["one", "two"]


def test_an_empty_flush_writes_nothing(run: Run) -> None:
    log = log_of(run)
    log.flush()
    log.close()
    assert not RunLogChunk.objects.exists()


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mysql --password hunter22 -h db", "mysql --password [redacted] -h db"),
        ("password=hunter22", "password=[redacted]"),
        ("Authorization: Bearer abcdefghijklmnop", "Authorization: Bearer [redacted]"),
        ('{"api_key": "abcd1234"}', '{"api_key": "[redacted]"}'),
        ("postgres://me:hunter22@db/x", "postgres://me:[redacted]@db/x"),
        ("AKIAABCDEFGHIJKLMNOP", "[redacted]"),
        ("tokens: 40321, max_token: 4096", "tokens: 40321, max_token: 4096"),
        ("the token of my affection", "the token of my affection"),
        ("S3_SECRET_ACCESS_KEY=abc/def+ghi", "S3_SECRET_ACCESS_KEY=[redacted]"),
    ],
)
def test_shapes_of_secrets(text: str, masked: str) -> None:
    assert Redactor()(text) == masked


@pytest.mark.parametrize("piece", ["a-", "secret_", "a.", "://a:", "bearer ", "wb_0000"])
def test_a_line_made_to_stall_the_masking_does_not(piece: str) -> None:
    """An agent chooses the text; a pattern that backtracks would hold the interpreter longer than a lease."""
    begun = time.process_time()
    Redactor(["a-known-secret"])(piece * (8192 // len(piece)))
    assert time.process_time() - begun < 1, "seconds, where milliseconds are usual"


def test_a_long_line_in_one_piece_is_cut(run: Run) -> None:
    log = log_of(run, limit=1_000_000)
    log.add("x" * 100_000 + "\n", "stdout")
    log.close()
    assert max(map(len, texts(run))) <= 8192


def test_a_chunk_whose_answer_was_lost_is_stored_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(run)
    write = log._write

    def write_and_lose_the_answer(lines: object) -> None:
        number = log._number
        write(lines)  # type: ignore[arg-type]
        log._number = number
        raise OperationalError("the connection broke after the commit")

    log.add("one\n", "stdout")
    with monkeypatch.context() as patched:
        patched.setattr(log, "_write", write_and_lose_the_answer)
        with pytest.raises(OperationalError):
            log.flush()
    log.add("two\n", "stdout")
    log.close()
    log.close()
    assert texts(run) == ["one", "two"]
    run.refresh_from_db()
    assert run.log_bytes == 8
