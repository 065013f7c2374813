"""Folders for a while: swept when their process is gone, never under somebody who works in one."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from types import SimpleNamespace

from backups.scratch import scratch_folder


def test_what_a_dead_process_left_is_swept(watch: SimpleNamespace) -> None:
    left = Path(watch.data_dir) / "scratch" / "left"
    left.mkdir(parents=True)
    (left / "copy").touch()
    with scratch_folder() as one, scratch_folder() as other:
        assert one != other
        assert one.stat().st_mode & 0o777 == 0o700
        assert one.is_dir()
        assert not left.exists()
    assert os.listdir(left.parent) == []  # noqa: PTH208


def test_many_at_once_sweep_nobody_who_just_begins(watch: SimpleNamespace) -> None:
    gone: list[Path] = []

    def work() -> None:
        for _ in range(100):
            with scratch_folder() as folder:
                if not folder.is_dir():
                    gone.append(folder)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gone == []
