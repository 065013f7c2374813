"""The data folder: private, held by one watch, refused clearly; its logs and ports."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.watch import logs, ports
from config.watch.errors import LaunchError
from config.watch.folder import DataFolder


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_folder_is_made_private(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "deep" / "var")
    assert data.path.stat().st_mode & 0o777 == 0o700
    data.close()


def test_second_watch_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    data = DataFolder(tmp_path / "var")
    with pytest.raises(LaunchError, match=rf"already runs on .*pid {os.getpid()}"):
        DataFolder(tmp_path / "var")
    data.close()
    DataFolder(tmp_path / "var").close()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(LaunchError, match="is a file"):
        DataFolder(tmp_path / "var")


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(LaunchError, match="cannot be used"):
        DataFolder(Path("/proc/watchbill"))
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="cannot be used: Not a directory"):
        DataFolder(tmp_path / "file" / "var")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable for root")
def test_an_unreadable_folder(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir(mode=0o000)
    with pytest.raises(LaunchError, match="cannot be used: Permission denied"):
        DataFolder(folder)


def test_somebodys_folder_named_by_mistake_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    (home / "letter.txt").write_text("dear")
    with pytest.raises(LaunchError, match="not a watch's"):
        DataFolder(home)
    assert home.stat().st_mode & 0o777 == 0o755


def test_a_watchs_own_open_folder_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    DataFolder(folder).close()
    folder.chmod(0o755)
    DataFolder(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_taken_port_is_one_line_with_the_way_out(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(LaunchError, match=rf"^Port {port} is taken .*PORT={port + 1} make run$"):
        ports.require(port, variable="PORT")
    assert ports.first_free(port) > port


def test_a_port_that_was_just_left_is_free() -> None:
    port = ports.any_free()
    with socket.create_server(("127.0.0.1", port)) as server:
        client = socket.create_connection(("127.0.0.1", port))
        accepted, _ = server.accept()
        accepted.close()  # the side that closes first keeps the port in TIME_WAIT
        client.close()
    assert ports.is_free(port)


def test_logs_are_capped_and_the_newest_kept(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    for number in range(5):
        log.write_text(f"{number}" * 20)
        logs.rotate(log, max_bytes=10)
    assert log.stat().st_size == 0
    assert [path.name for path in sorted(tmp_path.iterdir())] == [
        "web.log", "web.log.1", "web.log.2", "web.log.3",
    ]  # fmt: skip
    assert (tmp_path / "web.log.1").read_text() == "4" * 20


def test_a_small_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    log.write_text("short")
    logs.rotate(log)
    logs.rotate(tmp_path / "absent.log")
    assert log.read_text() == "short"
    assert logs.tail(log) == "    short"
    assert logs.tail(tmp_path / "absent.log") == ""
