"""``container.command`` in real containers."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from backups.archive.settings import S3Settings
from fleet.clients.docker_socket import frames
from schedules.executors import container_command
from schedules.executors.base import ExecutorError, Result, Stopped
from schedules.executors.container_command import CommandPayload, ContainerCommand, container_of
from tests.docker_engine import AgentContainer, Engine, ToyContainer
from tests.run_context import FakeContext, agent_view
from tests.s3_servers import keys_of


@pytest.fixture
def engine(docker_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    found = SimpleNamespace(WATCHBILL=SimpleNamespace(docker_host=docker_engine.base_url))
    monkeypatch.setattr(container_command, "settings", found)
    return docker_engine


def context_for(name: str) -> FakeContext:
    return FakeContext(agent_view(container_name=name))


def run(command: str, context: FakeContext) -> Result:
    return ContainerCommand().execute(CommandPayload(command=command), context)


def running(engine: Engine, name: str, what: str) -> bool:
    return any(what in " ".join(row) for row in engine.api.top(name)["Processes"])


@pytest.mark.docker
def test_output_goes_to_the_log_by_stream(engine: Engine, toy_container: ToyContainer) -> None:
    context = context_for(toy_container())
    script = "echo out; echo 夜班 >&2; sleep 1; echo $WATCHBILL_JOB_RUN_ID/$WATCHBILL_ATTEMPT/$A"
    name = context.agent.container_name
    result = run(f"docker exec -it -e A=b -e WATCHBILL_ATTEMPT=99 {name} sh -c '{script}'", context)
    assert context.text("stdout") == "out\nrun-7/1/b\n"
    assert context.text("stderr") == "夜班\n"
    assert "no terminal" in context.text("system")
    assert result.summary == "run-7/1/b"
    assert result.details == {"exit_code": 0}
    assert set(context.handles[0]) == {"container", "container_id", "exec_id", "token", "user"}


@pytest.mark.docker
def test_a_failing_command_fails_with_its_last_line(engine: Engine, toy_container: ToyContainer) -> None:
    context = context_for(toy_container())
    with pytest.raises(ExecutorError, match=r"ended with exit code 3\. Last line: no keys") as caught:
        run(f"docker exec {context.agent.container_name} sh -c 'echo hi; echo no keys >&2; exit 3'", context)
    assert (caught.value.code, caught.value.retryable) == ("exit_code", True)
    with pytest.raises(ExecutorError, match="It printed nothing"):
        run(f"docker exec {context.agent.container_name} false", context)


@pytest.mark.docker
def test_a_character_cut_in_two_is_put_together(engine: Engine, toy_container: ToyContainer) -> None:
    context = context_for(toy_container())
    script = r'printf "\345\244"; sleep 1; printf "\234\n\377\n\345"'
    run(f"docker exec {context.agent.container_name} sh -c '{script}'", context)
    assert context.text("stdout") == "夜\n\ufffd\n\ufffd"


@pytest.mark.docker
def test_missing_stopped_and_unknown(engine: Engine, toy_container: ToyContainer) -> None:
    name = toy_container()
    for command, code in (
        (f"docker exec {name} nosuch", "command_not_found"),
        ("docker exec none ls", "container_missing"),
    ):
        with pytest.raises(ExecutorError) as caught:
            run(command, context_for(container_of(command)))
        assert caught.value.code == code
    engine.api.kill(name)
    with pytest.raises(ExecutorError) as caught:
        run(f"docker exec {name} ls", context_for(name))
    assert caught.value.code == "container_stopped"


@pytest.mark.docker
def test_stopping_kills_within_five_seconds_even_when_the_log_hangs(
    engine: Engine, toy_container: ToyContainer
) -> None:
    name = toy_container()
    context = context_for(name)
    hanging = threading.Event()

    def log(text: str, *, stream: str = "system") -> None:
        if "ready" in text:
            hanging.wait(20)

    context.log = log
    caught: list[BaseException] = []

    def work() -> None:
        try:
            run(f"docker exec {name} sh -c 'echo ready; sleep 951'", context)
        except Stopped as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until = time.monotonic() + 10
    while not running(engine, name, "sleep 951"):
        assert time.monotonic() < until
        time.sleep(0.05)
    started = time.monotonic()
    context.stop()
    while running(engine, name, "sleep 951"):
        assert time.monotonic() - started < 5
        time.sleep(0.05)
    hanging.set()
    thread.join(10)
    assert caught


@pytest.mark.docker
def test_reaping_ends_what_a_former_attempt_left(engine: Engine, toy_container: ToyContainer) -> None:
    name = toy_container()
    former = context_for(name)

    class Died(BaseException):
        pass

    def log(text: str, *, stream: str = "system") -> None:
        raise Died

    former.log = log
    with pytest.raises(Died):
        run(f"docker exec {name} sh -c 'echo ready; sleep 961'", former)
    assert running(engine, name, "sleep 961")
    now = context_for(name)
    ContainerCommand().reap(former.handles[0], now)
    assert not running(engine, name, "sleep 961")
    assert now.text() == "What was still running in the container was ended.\n"
    engine.api.stop(name, timeout=0)
    ContainerCommand().reap(former.handles[0], now)
    engine.api.remove_container(name, force=True)
    ContainerCommand().reap(former.handles[0], now)


@pytest.mark.docker
def test_reaping_where_nothing_is_left_is_quick_and_silent(engine: Engine, toy_container: ToyContainer) -> None:
    context = context_for(toy_container())
    with pytest.raises(ExecutorError):
        run(f"docker exec {context.agent.container_name} false", context)
    context.stop()  # a cancelled one is reaped as well
    now = FakeContext(context.agent)
    now.stop()
    for _ in range(2):
        started = time.monotonic()
        ContainerCommand().reap(context.handles[0], now)
        assert time.monotonic() - started < 1
    assert not now.lines


@pytest.mark.docker
def test_what_can_not_be_reached_is_not_reaped(engine: Engine, toy_container: ToyContainer) -> None:
    name = toy_container()
    context = context_for(name)
    run(f"docker exec {name} sh -c 'sleep 971 >/dev/null 2>&1 & echo left'", context)
    engine.api.pause(name)
    with pytest.raises(ExecutorError, match="is it paused") as caught:
        ContainerCommand().reap(context.handles[0], context)
    assert caught.value.code == "still_running"
    engine.api.unpause(name)
    ContainerCommand().reap(context.handles[0], context)
    assert not running(engine, name, "sleep 971")


@pytest.mark.docker
def test_output_that_breaks_off_leaves_a_handle_to_reap(
    engine: Engine, toy_container: ToyContainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = toy_container()
    context = context_for(name)

    def reset(response: Any, on_poll: Any) -> Any:
        yield next(frames(response, on_poll))
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr("fleet.clients.docker.frames", reset)
    with pytest.raises(ExecutorError) as caught:
        run(f"docker exec {name} sh -c 'echo ready; exec sleep 981'", context)
    monkeypatch.setattr("fleet.clients.docker.frames", frames)
    assert caught.value.code == "docker_unreachable"
    assert running(engine, name, "sleep 981")
    ContainerCommand().reap(context.handles[0], context)
    assert not running(engine, name, "sleep 981")


@pytest.mark.docker
def test_values_given_by_e_are_hidden_from_the_log(engine: Engine, toy_container: ToyContainer) -> None:
    context = context_for(toy_container())
    run(f"docker exec -e TOKEN=hunter2 {context.agent.container_name} true", context)
    assert context.hidden == ["hunter2"]


@pytest.mark.docker
def test_the_sop_line_in_a_container_that_has_the_s3_command(
    engine: Engine, agent_container: AgentContainer, rclone_s3: S3Settings, tmp_path: Path
) -> None:
    env = {
        "S3_ENDPOINT_URL": rclone_s3.endpoint_url,
        "S3_ACCESS_KEY_ID": rclone_s3.access_key_id,
        "S3_SECRET_ACCESS_KEY": rclone_s3.secret_access_key,
        "S3_BUCKET": rclone_s3.bucket,
        "S3_AGENT": "agent",
    }
    (tmp_path / "note").write_text("hi")
    agent_container("agent", env, tmp_path)
    context = context_for("agent")
    result = run("docker exec agent s3 backup", context)
    assert result.summary.startswith("[S3] Backup completed successfully: workspace_2")
    assert context.text("stdout") == result.summary + "\n"
    assert len(keys_of(rclone_s3)) == 2
    with pytest.raises(
        ExecutorError, match=r"exit code 1. Last line: \[S3\] Backup failed: S3 keys are missing: S3_ACC"
    ):
        run("docker exec -e S3_ACCESS_KEY_ID= agent s3 backup", context)


def test_only_the_agents_own_container(monkeypatch: pytest.MonkeyPatch) -> None:
    check = ContainerCommand().check_payload
    check(CommandPayload(command="docker exec agent ls"), agent=agent_view())
    for command, agent, text in (
        ("docker exec other ls", agent_view(), "is not the one of the agent 'lead', which is 'agent'"),
        ("docker exec agent ls", None, "Name one with --agent"),
        ("docker exec agent ls", agent_view(container_name=""), "has no container"),
        ("rm -rf /", agent_view(), "Only 'docker exec'"),
        ("docker exec agent ls | wc", agent_view(), "wrap it"),
    ):
        with pytest.raises(ValueError, match=text):
            check(CommandPayload(command=command), agent=agent)
    with pytest.raises(ExecutorError) as caught:
        run("docker exec other ls", context_for("agent"))
    assert (caught.value.code, caught.value.retryable) == ("invalid_command", False)


def test_an_unreachable_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = SimpleNamespace(WATCHBILL=SimpleNamespace(docker_host=f"unix://{tmp_path}/none.sock"))
    monkeypatch.setattr(container_command, "settings", found)
    with pytest.raises(ExecutorError) as caught:
        run("docker exec agent ls", context_for("agent"))
    assert (caught.value.code, caught.value.retryable) == ("docker_unreachable", True)
