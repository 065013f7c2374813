"""The Docker client against a real engine."""
# ruff: noqa: S108 - /tmp of a container

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.clients import docker_errors as errors
from fleet.clients import docker_kill
from fleet.clients.docker import DockerClient, ExecHandle
from fleet.clients.docker_socket import frames
from tests.docker_engine import Engine, ToyContainer


@pytest.fixture
def client(docker_engine: Engine) -> Iterator[DockerClient]:
    client = DockerClient(base_url=docker_engine.base_url)
    yield client
    client.close()


class Ran:
    """One exec, with what came out of it."""

    def __init__(
        self, client: DockerClient, container: str, *argv: str, stopping_after: float = 0, **options: object
    ) -> None:
        self.handles: list[ExecHandle] = []
        self.out: list[tuple[str, bytes]] = []
        self.stop = threading.Event()
        if stopping_after:
            threading.Timer(stopping_after, self.stop.set).start()
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


@pytest.mark.docker
def test_only_its_own_name_reaches_a_container(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine
) -> None:
    """The engine also takes ids and their beginnings, by which a name could reach another's container."""
    name = toy_container()
    full = docker_engine.api.inspect_container(name)["Id"]
    for other in (full, full[:12], full[:3], f"/{name}", f"{name}/", ""):
        with pytest.raises(errors.ContainerMissingError):
            Ran(client, other, "ls").now()
        with pytest.raises(errors.ContainerMissingError):
            client.get_archive(other, "/workspace")
        assert not client.container_exists(other)
    toy_container(full[:12])  # its name, although it is the beginning of another's id
    assert Ran(client, full[:12], "ls").now().code == 0


@pytest.mark.docker
def test_a_handle_stays_with_its_container(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine
) -> None:
    """Handles of before hold no id; a container that was renamed meanwhile is found by it."""
    name = toy_container()
    ran = Ran(client, name, "sh", "-c", "echo ready; sleep 951")
    thread = ran.in_background(lambda ran: ran.text() == "ready\n")
    recorded = ran.handles[0].as_dict()
    assert recorded["container_id"] == docker_engine.api.inspect_container(name)["Id"]
    docker_engine.api.rename(name, f"{name}-renamed")
    assert client.kill_exec(ExecHandle(**recorded)) is False
    thread.join(5)
    assert processes(client, f"{name}-renamed") == []
    docker_engine.api.rename(f"{name}-renamed", name)
    ran = Ran(client, name, "sh", "-c", "echo ready; sleep 952")
    thread = ran.in_background(lambda ran: ran.text() == "ready\n")
    before = {key: value for key, value in ran.handles[0].as_dict().items() if key != "container_id"}
    assert client.kill_exec(ExecHandle(**before)) is False
    thread.join(5)
    assert processes(client, name) == []


@pytest.mark.docker
@pytest.mark.parametrize("shell", ["#!/opt/bin/busybox yes\n", "#!/opt/bin/busybox sh\nwhile :; do sleep 1; done\n"])
def test_a_hostile_shell_holds_no_kill_up(client: DockerClient, toy_container: ToyContainer, shell: str) -> None:
    """One that floods, and one that never ends."""
    name = toy_container()
    hide = f"rm /bin/sh; printf '{shell}' > /bin/sh; /bin/chmod 755 /bin/sh; echo ready; exec sleep 953"
    ran = Ran(client, name, "/opt/bin/busybox", "sh", "-c", hide.replace("\n", r"\n"))
    thread = ran.in_background(lambda ran: ran.text() == "ready\n")
    started = time.monotonic()
    assert client.kill_exec(ran.handles[0]) is True
    assert time.monotonic() - started < 6
    with pytest.raises(errors.StillRunningError):
        Ran(client, name, "sleep", "954", stopping_after=0.5).now()
    assert time.monotonic() - started < 14
    Ran(client, name, "/opt/bin/busybox", "killall", "-9", "sleep").now()
    thread.join(5)


@pytest.mark.docker
def test_looking_where_nothing_is_left_is_quick(client: DockerClient, toy_container: ToyContainer) -> None:
    name = toy_container()
    found: list[int] = []
    ran = Ran(client, name, "true").now()
    started = time.monotonic()
    assert client.kill_exec(ran.handles[0], on_found=lambda: found.append(1)) is False
    assert time.monotonic() - started < 1
    assert not found
    ran = Ran(client, name, "sh", "-c", "sleep 955 >/dev/null 2>&1 & echo left").now()
    assert client.kill_exec(ran.handles[0], on_found=lambda: found.append(1)) is False
    assert found == [1]
    assert processes(client, name) == []


@pytest.mark.docker
def test_output_that_breaks_off_is_an_error_and_leaves_the_handle(
    client: DockerClient, toy_container: ToyContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = toy_container()

    def cut(response: Any, on_poll: Callable[[], None]) -> Iterator[tuple[str, bytes]]:
        yield next(frames(response, on_poll))

    monkeypatch.setattr("fleet.clients.docker.frames", cut)
    ran = Ran(client, name, "sh", "-c", "echo ready; exec sleep 956")
    with pytest.raises(errors.OutputLostError, match="broke off while the command"):
        ran.now()
    monkeypatch.undo()
    assert client.is_running(ran.handles[0])
    assert client.kill_exec(ran.handles[0]) is False
    assert processes(client, name) == []


@pytest.mark.docker
def test_an_exec_that_the_engine_forgot_is_not_a_missing_container(
    client: DockerClient, toy_container: ToyContainer, docker_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the engine was started anew."""
    name = toy_container()

    def cut(response: Any, on_poll: Callable[[], None]) -> Iterator[tuple[str, bytes]]:
        yield next(frames(response, on_poll))
        docker_engine.api.remove_container(name, force=True)

    monkeypatch.setattr("fleet.clients.docker.frames", cut)
    ran = Ran(client, name, "sh", "-c", "echo ready; exec sleep 957")
    with pytest.raises(errors.OutputLostError):
        ran.now()
    monkeypatch.undo()
    assert client.kill_exec(ran.handles[0]) is False


def test_numbers_that_are_no_process_ids_are_left_out() -> None:
    assert docker_kill.parse_pids(b"1 22\n4194304 x -3 12345678 " + b"9" * 5000) == (1, 22, 4194304)
