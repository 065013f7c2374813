"""The supervisor over real processes: restart, order of ending, Ctrl-C, and its own sudden death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.watch import leftovers
from config.watch.child import MARKER
from tests.config.processes import alive, pids, until

TOY = Path(__file__).with_name("toy_supervisor.py")
PROJECT = TOY.parents[2]
Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    """Start toy children under a supervisor, in a process group of its own as a terminal gives it."""
    started = []

    def starter(*children: str, expect: int | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(TOY), str(tmp_path), *children],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        count = len(children) if expect is None else expect
        until(lambda: len(pids(tmp_path)) >= count, what="every child's start")
        return process

    yield starter
    for process in started:
        process.kill()
        process.communicate()
    until(lambda: not any(map(alive, pids(tmp_path))), what="the end of every child")


def pid(folder: Path, name: str) -> int:
    return int((folder / f"{name}.pid").read_text())


def notes(folder: Path) -> list[str]:
    return (folder / "notes").read_text().splitlines()


def test_ctrl_c_ends_all_stage_by_stage(start: Starter, tmp_path: Path) -> None:
    process = start("redis=0=stays", "s3=1=stays", "worker=2=stays", "beat=3=stays")
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    assert output.splitlines() == ["tending", "stopping", "stopped"]
    assert process.returncode == 0
    assert notes(tmp_path)[4:] == ["ended beat", "ended worker", "ended s3", "ended redis"]
    assert not any(map(alive, pids(tmp_path)))


def test_terms_passed_on_by_make_are_one_wish(start: Starter, tmp_path: Path) -> None:
    process = start("web=2=stubborn")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=10)
    assert time.monotonic() - began > 0.9
    assert "web did not end in 1 s and was killed." in output
    assert not alive(pid(tmp_path, "web"))


def test_ctrl_c_reaches_no_child_through_the_terminal(start: Starter, tmp_path: Path) -> None:
    process = start("web=2=stays")
    assert os.getpgid(pid(tmp_path, "web")) != os.getpgid(process.pid)
    assert os.getsid(pid(tmp_path, "web")) != os.getsid(process.pid)


def test_a_killed_child_is_started_again_and_said(start: Starter, tmp_path: Path) -> None:
    process = start("worker=2=stays")
    first = pid(tmp_path, "worker")
    time.sleep(1.2)  # past the toy's settling time
    os.kill(first, signal.SIGKILL)
    until(lambda: pid(tmp_path, "worker") != first, what="the restart")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=10)
    line = f"worker ended with exit code -9; started again in 0.1 s (1st time). Log: {tmp_path}/worker.log"
    assert line in output.splitlines()


def test_what_a_dead_child_had_started_is_ended_with_it(start: Starter, tmp_path: Path) -> None:
    start("worker=2=parent", expect=2)
    inner = pid(tmp_path, "worker-inner")
    os.kill(pid(tmp_path, "worker"), signal.SIGKILL)
    until(lambda: not alive(inner), what="the inner process's end")


def test_a_child_that_cannot_start_ends_the_watch_with_its_last_lines(start: Starter, tmp_path: Path) -> None:
    process = start("redis=0=stays", "web=2=fails", expect=2)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "web ended 5 times in its first seconds, with exit code 1." in output
    assert "no reason at all" in output
    assert output.count("started again") == 4
    assert not alive(pid(tmp_path, "redis"))


def test_kill_9_of_the_supervisor_leaves_nothing(start: Starter, tmp_path: Path) -> None:
    process = start("redis=0=stays", "worker=2=stubborn")
    process.kill()
    until(lambda: not any(map(alive, pids(tmp_path))), seconds=5, what="the end of every orphan")


def test_a_second_ctrl_c_hastens(start: Starter, tmp_path: Path) -> None:
    process = start("a=4=stubborn", "b=3=stubborn", "c=2=stubborn", "d=1=stubborn")
    process.send_signal(signal.SIGINT)
    time.sleep(1.1)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert time.monotonic() - began < 1.5
    assert not any(map(alive, pids(tmp_path)))


def test_leftovers_of_this_folder_only_are_ended(tmp_path: Path) -> None:
    def sleeper(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "60"], env={**os.environ, MARKER: str(folder)}, start_new_session=True)

    mine, other = sleeper(tmp_path), sleeper(tmp_path / "other")
    try:
        until(lambda: leftovers.find(tmp_path) == [mine.pid])
        leftovers.end(tmp_path, grace=2)
        assert mine.wait(timeout=5) == -signal.SIGTERM
        assert other.poll() is None
    finally:
        for process in (mine, other):
            process.kill()
            process.wait()
