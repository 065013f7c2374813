"""Reading commands as people write them."""
# ruff: noqa: S108 - /tmp of a container

from __future__ import annotations

import pytest

from fleet.clients.docker_command import DockerCommandError, mask_environment, parse_docker_exec


@pytest.mark.parametrize(
    ("command", "container", "argv", "env", "user", "workdir"),
    [
        ("docker exec agent s3 backup", "agent", ["s3", "backup"], {}, "", ""),
        (
            "docker exec -e A=1 --env B=2 --env=C=x=y agent env",
            "agent",
            ["env"],
            {"A": "1", "B": "2", "C": "x=y"},
            "",
            "",
        ),
        ("docker exec -u 1000:1000 -w /tmp agent id -u", "agent", ["id", "-u"], {}, "1000:1000", "/tmp"),
        ("docker exec --user=root --workdir=/x agent ls", "agent", ["ls"], {}, "root", "/x"),
        ("docker exec -uroot -eA=1 agent ls -e", "agent", ["ls", "-e"], {"A": "1"}, "root", ""),
        ("  docker   exec -- agent ls", "agent", ["ls"], {}, "", ""),
        (
            "docker exec agent sh -c 'a | b > c; d && $(e) `f`'",
            "agent",
            ["sh", "-c", "a | b > c; d && $(e) `f`"],
            {},
            "",
            "",
        ),
        ('docker exec agent echo "a; b & c"', "agent", ["echo", "a; b & c"], {}, "", ""),
        (
            r"docker exec agent echo a\;b \$HOME $HOME '*'",
            "agent",
            ["echo", "a;b", "$HOME", "$HOME", "*"],
            {},
            "",
            "",
        ),
        ("docker exec agent echo '夜 班' \"it's\"", "agent", ["echo", "夜 班", "it's"], {}, "", ""),
    ],
)
def test_commands_are_read_as_docker_reads_them(  # noqa: PLR0917 - a row of the table
    command: str, container: str, argv: list[str], env: dict[str, str], user: str, workdir: str
) -> None:
    read = parse_docker_exec(command)
    assert (read.container, list(read.argv), dict(read.env), read.user, read.workdir) == (
        container,
        argv,
        env,
        user,
        workdir,
    )
    assert read.notes == ()


@pytest.mark.parametrize("option", ["-i", "-t", "-it", "-ti", "--interactive", "--tty"])
def test_a_terminal_is_ignored_with_a_note(option: str) -> None:
    read = parse_docker_exec(f"docker exec {option} agent ls")
    assert read.argv == ("ls",)
    assert "no terminal" in read.notes[0]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("rm -rf /", "Only 'docker exec' can be scheduled"),
        ("docker run x", "Only 'docker exec'"),
        ("sudo docker exec agent ls", "Only 'docker exec'"),
        ("", "docker exec .* CONTAINER COMMAND"),
        ("docker", "CONTAINER COMMAND"),
        ("docker exec", "lacks a container and a command"),
        ("docker exec agent", "lacks a command"),
        ("docker exec -u", "lacks its value"),
        ("docker exec -e A agent ls", "KEY=VALUE"),
        ("docker exec -e =A agent ls", "KEY=VALUE"),
        ("docker exec -d agent ls", "leave -d out"),
        ("docker exec --detach agent ls", "leave --detach out"),
        ("docker exec --privileged agent ls", "leave --privileged out"),
        ("docker exec --privileged=true agent ls", "leave --privileged out"),
        ("docker exec --env-file x agent ls", "--env-file is not known"),
        ("docker exec agent ls | wc", r"sh -c '…'"),
        ("docker exec agent ls > /tmp/x", "wrap it"),
        ("docker exec agent ls; rm -rf /", "wrap it"),
        ("docker exec agent ls && ls", "'&&'"),
        ("docker exec agent ls & ls", "wrap it"),
        ("docker exec agent echo `id`", "wrap it"),
        ("docker exec agent echo $(id)", "wrap it"),
        ('docker exec agent echo "$(id)"', "wrap it"),
        ("docker exec agent 'ls", "quotes do not match"),
        ("docker exec agent a\0b", "NUL"),
    ],
)
def test_what_cannot_run_is_refused_with_the_way_out(command: str, text: str) -> None:
    with pytest.raises(DockerCommandError, match=text):
        parse_docker_exec(command)


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("docker exec -e TOKEN=hunter2 agent ls", "docker exec -e TOKEN=*** agent ls"),
        ("docker exec --env TOKEN=hunter2 agent ls", "docker exec --env TOKEN=*** agent ls"),
        ("docker exec --env=TOKEN=hun=ter2 agent ls", "docker exec --env=TOKEN=*** agent ls"),
        ("docker exec -eTOKEN=hunter2 -u root agent ls", "docker exec -eTOKEN=*** -u root agent ls"),
        ("docker exec -e=TOKEN=hunter2 agent ls", "docker exec -e=TOKEN=*** agent ls"),
        (
            "docker exec -it -e 'A=hunter2 b' -e B= agent sh -c 'a | b'",
            "docker exec -it -e A=*** -e B=*** agent sh -c 'a | b'",
        ),
        ("docker exec -w -e agent ls", "docker exec -w -e agent ls"),
        ("docker exec agent env -e A=seen", "docker exec agent env -e A=seen"),
        ("docker  exec agent   ls", "docker  exec agent   ls"),
        ("docker exec -e TOKEN=hunter2", "docker exec ***"),
        ("docker exec -e 'TOKEN=hunter2 agent ls", "docker exec ***"),
        ("docker exec -e TOKEN=hunter2 agent ls | wc", "docker exec ***"),
        ("something else", "something else"),
    ],
)
def test_values_of_the_environment_are_masked(command: str, masked: str) -> None:
    """Where it is kept for people to read; what cannot be read is not shown at all."""
    assert mask_environment(command) == masked
