"""What a command leaves behind in its process: nothing, since tests and shells run several in one."""

from __future__ import annotations

import logging

import pytest

from fleet.console.base import answer
from fleet.console.screen import Screen
from fleet.errors import NotFound


@pytest.mark.parametrize("fails", [False, True])
def test_log_lines_are_few_only_while_it_runs(caplog: pytest.LogCaptureFixture, *, fails: bool) -> None:
    log = logging.getLogger("schedules.any")

    def work() -> int:
        log.warning("while")
        if fails:
            raise NotFound("not here")
        return 0

    logging.getLogger("schedules").setLevel(logging.INFO)
    answer(work, Screen())
    log.warning("behind")
    assert [record.message for record in caplog.records] == ["behind"]
