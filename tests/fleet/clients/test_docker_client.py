"""The Docker client against a real engine."""
# ruff: noqa: S108 - /tmp of a container

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.clients import docker_errors as errors
from fleet.clients import docker_kill
from fleet.clients.docker import DockerClient, ExecHandle
from tests.docker_engine import Engine, ToyContainer


@pytest.fixture
def client(docker_engine: Engine) -> Iterator[DockerClient]:
    client = DockerClient(base_url=docker_engine.base_url)
    yield client
    client.close()


class Ran:
    """One exec, with what came out of it."""

    def __init__(self, client: DockerClient, container: str, *argv: str, **options: object) -> None:
        self.handles: list[ExecHandle] = []
        self.out: list[tuple[str, bytes]] = []
        self.stop = threading.Event()
        options.setdefault("env", {})
        self._run = lambda: client.exec_stream(
            container,
            argv,
            on_started=self.handles.append,
            on_output=lambda stream, data: self.out.append((stream, data)),
            stop=self.stop.is_set,
            **options,
        )
        self.code: int | None = None

    def now(self) -> Ran:
        self.code = self._run()
        return self

    def in_background(self, until: Callable[[Ran], bool]) -> threading.Thread:
        thread = threading.Thread(target=self.now)
        thread.start()
        deadline = time.monotonic() + 10
        while not until(self):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return thread

    def text(self, stream: str = "stdout") -> str:
        return b"".join(data for name, data in self.out if name == stream).decode()


def processes(client: DockerClient, container: str) -> list[str]:
    """The command lines that run in a container, without the look itself."""
    seen = Ran(client, container, "ps", "-o", "args").now().text().splitlines()
    return [line for line in seen if "sleep 9" in line]


@pytest.mark.docker
def test_output_is_demultiplexed_and_the_exit_code_kept(client: DockerClient, toy_container: ToyContainer) -> None:
    ran = Ran(client, toy_container(), "sh", "-c", "echo out; echo err >&2; exit 7").now()
    assert (ran.code, ran.text(), ran.text("stderr")) == (7, "out\n", "err\n")


@pytest.mark.docker
def test_the_handle_comes_before_the_command_starts(client: DockerClient, toy_container: ToyContainer) -> None:
    name = toy_container()
    ran = Ran(client, name, "true")

    def started(handle: ExecHandle) -> None:
        assert not client.is_running(handle)
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError):
        client.exec_stream(
            name,
            ["touch", "/tmp/ran"],
            env={},
            on_started=started,
            on_output=lambda *_: None,
            stop=lambda: False,
        )
    assert Ran(client, name, "test", "-e", "/tmp/ran").now().code == 1
    assert ran.now().code == 0


@pytest.mark.docker
def test_environment_user_and_folder(client: DockerClient, toy_container: ToyContainer) -> None:
    argv = ["sh", "-c", 'echo "$A|$(id -u)|$(pwd)"']
    ran = Ran(client, toy_container(), *argv, env={"A": "x y=z"}, user="1000", workdir="/tmp").now()
    assert ran.text() == "x y=z|1000|/tmp\n"


@pytest.mark.docker
def test_no_output_is_lost(client: DockerClient, toy_container: ToyContainer) -> None:
    """Short commands answer together with the HTTP headers, long ones in many frames."""
    name = toy_container()
    for _ in range(40):
        assert Ran(client, name, "echo", "hi").now().text() == "hi\n"
    ran = Ran(client, name, "sh", "-c", "yes 0123456789 | head -c 3000000").now()
    assert len(ran.text()) == 3_000_000


@pytest.mark.docker
def test_output_comes_while_the_command_runs(client: DockerClient, toy_container: ToyContainer) -> None:
    ran = Ran(client, toy_container(), "sh", "-c", "echo first; sleep 3; echo last")
    started = time.monotonic()
    thread = ran.in_background(lambda ran: ran.text() == "first\n")
    assert time.monotonic() - started < 2.5
    thread.join(10)
    assert ran.text() == "first\nlast\n"


@pytest.mark.docker
def test_missing_stopped_and_paused_are_told_apart(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine
) -> None:
    name = toy_container("agent-one")
    toy_container("agent-of-others")
    with pytest.raises(
        errors.ContainerMissingError, match=r"'agent-on' does not exist\. Did you mean 'agent-one'"
    ) as e:
        Ran(client, "agent-on", "ls", known=[name]).now()
    assert "others" not in str(e.value)
    docker_engine.api.pause(name)
    with pytest.raises(errors.ContainerPausedError, match="docker unpause agent-one"):
        Ran(client, name, "ls").now()
    docker_engine.api.unpause(name)
    docker_engine.api.stop(name, timeout=0)
    with pytest.raises(errors.ContainerStoppedError, match="docker start agent-one"):
        Ran(client, name, "ls").now()
    assert client.container_exists(name)
    assert not client.container_exists("agent-on")


@pytest.mark.docker
@pytest.mark.parametrize("options", [{"argv": ["nosuch"]}, {"user": "nobody-here"}, {"workdir": "/nowhere"}])
def test_what_cannot_be_started_is_told_apart_from_failing(
    client: DockerClient, toy_container: ToyContainer, options: dict
) -> None:
    name = toy_container()
    argv = options.pop("argv", ["ls"])
    with pytest.raises(errors.CommandNotFoundError, match="could not be started in the container"):
        Ran(client, name, *argv, **options).now()
    assert Ran(client, name, "sh", "-c", "echo OCI; exit 127").now().code == 127


@pytest.mark.docker
def test_stopping_kills_the_whole_tree_within_five_seconds(client: DockerClient, toy_container: ToyContainer) -> None:
    """Children in the background, in a session of their own, without the environment, deaf to SIGTERM."""
    name = toy_container()
    script = (
        "trap '' TERM; sleep 901 & setsid sleep 902 & (env -i /opt/bin/busybox sleep 903 &) ;"
        " setsid sh -c 'trap \"\" TERM; sleep 904; sleep 905' & echo ready; sleep 906"
    )
    bystander = Ran(client, name, "sleep", "907")
    other = bystander.in_background(lambda ran: bool(ran.handles) and client.is_running(ran.handles[0]))
    ran = Ran(client, name, "sh", "-c", script)
    thread = ran.in_background(lambda ran: ran.text() == "ready\n")
    time.sleep(0.3)
    assert len(processes(client, name)) >= 6
    started = time.monotonic()
    ran.stop.set()
    thread.join(10)
    assert time.monotonic() - started < 5
    assert processes(client, name) == ["sleep 907"]
    bystander.stop.set()
    other.join(10)


@pytest.mark.docker
def test_killing_from_another_process_after_the_first_died(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine
) -> None:
    name = toy_container()
    ran = Ran(client, name, "sh", "-c", "sleep 911 & sleep 912")
    thread = ran.in_background(lambda ran: bool(ran.handles) and client.is_running(ran.handles[0]))
    other = DockerClient(base_url=docker_engine.base_url)
    handle = ExecHandle(**ran.handles[0].as_dict())
    time.sleep(0.3)
    assert other.kill_exec(handle) is False
    assert other.kill_exec(handle) is False  # idempotent
    thread.join(5)
    assert ran.code == 143
    assert processes(client, name) == []
    other.close()


@pytest.mark.docker
def test_children_that_changed_their_user_are_found(client: DockerClient, toy_container: ToyContainer) -> None:
    name = toy_container()
    script = "/opt/bin/busybox setuidgid agent sleep 921 & echo ready; sleep 922"
    ran = Ran(client, name, "sh", "-c", script)
    thread = ran.in_background(lambda ran: ran.text() == "ready\n")
    other = Ran(client, name, "sleep", "923", user="1000")
    other_thread = other.in_background(lambda ran: bool(ran.handles) and client.is_running(ran.handles[0]))
    time.sleep(0.3)
    assert client.kill_exec(other.handles[0]) is False
    assert client.kill_exec(ran.handles[0]) is False
    thread.join(5)
    other_thread.join(5)
    assert processes(client, name) == []


@pytest.mark.docker
def test_killing_where_nothing_can_run_any_more(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine
) -> None:
    name = toy_container()
    ran = Ran(client, name, "sh", "-c", "echo ready; exec sleep 931")
    thread = ran.in_background(lambda ran: ran.text() == "ready\n")  # pausing a start half done hangs the engine
    docker_engine.api.pause(name)
    assert client.kill_exec(ran.handles[0]) is True
    docker_engine.api.unpause(name)
    docker_engine.api.kill(name)
    thread.join(10)
    assert ran.code == 137
    assert client.kill_exec(ran.handles[0]) is False
    docker_engine.api.remove_container(name, force=True)
    assert client.kill_exec(ran.handles[0]) is False


@pytest.mark.docker
def test_a_container_without_a_shell(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker_kill, "SCRIPT", "")
    monkeypatch.setattr("fleet.clients.docker.script_argv", lambda *_: ["/no/such/shell"])
    name = toy_container()
    ran = Ran(client, name, "sleep", "941")
    thread = ran.in_background(lambda ran: bool(ran.handles) and client.is_running(ran.handles[0]))
    assert client.kill_exec(ran.handles[0]) is False
    thread.join(5)
    assert processes(client, name) == []


@pytest.mark.docker
def test_stopping_before_the_start_starts_nothing(client: DockerClient, toy_container: ToyContainer) -> None:
    name = toy_container()
    ran = Ran(client, name, "touch", "/tmp/ran")
    ran.stop.set()
    assert ran.now().code == -1
    assert Ran(client, name, "test", "-e", "/tmp/ran").now().code == 1


@pytest.mark.docker
def test_an_archive_of_a_path(client: DockerClient, toy_container: ToyContainer) -> None:
    name = toy_container()
    Ran(client, name, "sh", "-c", "echo hi > /workspace/note").now()
    assert b"workspace/note" in b"".join(client.get_archive(name, "/workspace"))
    with pytest.raises(errors.PathMissingError, match="no /nowhere in container"):
        client.get_archive(name, "/nowhere")
    with pytest.raises(errors.ContainerMissingError):
        client.get_archive("nobody", "/workspace")


def test_an_unreachable_engine_says_what_to_do(tmp_path: Path) -> None:
    client = DockerClient(base_url=f"unix://{tmp_path}/docker.sock")
    with pytest.raises(errors.EngineUnreachableError, match="does not exist: start the engine"):
        client.container_exists("agent")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "docker.sock"))
        with pytest.raises(errors.EngineUnreachableError, match="check that it runs"):
            client.container_exists("agent")
        if os.geteuid() != 0:
            (tmp_path / "docker.sock").chmod(0)
            with pytest.raises(errors.EngineUnreachableError, match="group"):
                client.container_exists("agent")
    with pytest.raises(errors.EngineUnreachableError):
        DockerClient(base_url="nonsense").container_exists("agent")
