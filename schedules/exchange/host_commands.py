"""Commands of a host to commands in a container: there is no other place here to run one.

``docker exec CONTAINER …`` stays as it is. Everything else runs in the container of the agent that the caller names,
and is refused when none is named.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.clients.docker_command import RIGHT_FORM, outside_single_quotes, parse_docker_exec
from schedules.exchange.sources import Source

# With sudo or by its whole path, as crontabs write it.
_DOCKER_EXEC = re.compile(r"(?:sudo\s+(?:-n\s+)?)?(?:/\S*/)?docker\s+exec\s+")
_DOCKER = re.compile(r"(?:sudo\s+(?:-n\s+)?)?(?:/\S*/)?docker(?:-compose)?\s")
# At the end and without quotes, so it can't be part of a quoted text unless the quotes do not match.
_REDIRECTIONS = re.compile(r"(?:\s(?:&>>?|[12]?>>?)\s?(?:&[12]|[\w./~%+=:-]+))+$")
_EXPANSION = re.compile(r"(?<!\\)\$[\w{]|(?:^|\s)~")
_ASSIGNMENTS = re.compile(r"(?:\w+=\S*\s+)+")
_LONGEST_TITLE = 48
# As container.command takes it; the patterns above are not asked about more.
_LONGEST_COMMAND = 20_000


class CommandRefused(ValueError):
    """A command that can't be taken; the message shows the way out."""


@dataclass(frozen=True, kw_only=True)
class HostCommand:
    """A command as it was scheduled. ``shell`` ran it; empty: none did. ``environment`` and ``folder``: what it got."""

    text: str
    shell: str = "sh"
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""


@dataclass(frozen=True, kw_only=True)
class ContainerJob:
    """The command for ``container.command``. ``agent``: where it was named; else the container tells."""

    command: str
    title: str
    agent: str | None
    notes: tuple[str, ...] = ()


def container_job(command: HostCommand, source: Source) -> ContainerJob:
    """Raises :class:`CommandRefused`."""
    if len(command.text) > _LONGEST_COMMAND:
        raise CommandRefused(f"a command may have {_LONGEST_COMMAND} characters; put it in a script of the container")
    if _DOCKER_EXEC.match(command.text):
        return _docker_exec(command)
    if _DOCKER.match(command.text):
        raise CommandRefused(f"of Docker's commands only exec can be scheduled. Write: {RIGHT_FORM}")
    if source.agent is None:
        raise CommandRefused(_no_host(command.text))
    words = [*_options(command), source.agent.container, *_argv(command)]
    return ContainerJob(
        command=shlex.join(["docker", "exec", *words]),
        title=f"{source.agent.slug} {_title(command.text)}",
        agent=source.agent.slug,
        notes=(f"runs in the container of the agent {source.agent.slug}, no longer on the host",),
    )


def _docker_exec(command: HostCommand) -> ContainerJob:
    text = _DOCKER_EXEC.sub("docker exec ", command.text, count=1).strip()
    notes = [f"{name} dropped: docker exec hands it on only as -e {name}=…" for name in command.environment]
    if command.folder:
        notes.append("cwd dropped: docker exec takes a folder of the container, as -w FOLDER")
    if redirected := _REDIRECTIONS.search(text):
        text = text[: redirected.start()]
        notes.append(f"{redirected[0].strip()} dropped: its output is kept in the run's log")
    if command.shell and _EXPANSION.search(outside_single_quotes(text)):
        raise CommandRefused(
            "the host's shell would fill in what begins with $ or ~, and there is none here: write the value itself, "
            "or let the container's shell do it: docker exec CONTAINER sh -c '…'"
        )
    try:
        request = parse_docker_exec(text)
    except ValueError as error:
        raise CommandRefused(str(error)) from error
    return ContainerJob(
        command=text,
        title=_title(" ".join([request.container, *_script(request.argv)])),
        agent=None,
        notes=tuple(notes),
    )


def _script(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Without the shell that is only told to run it."""
    return argv[2:] if argv[1:2] == ("-c",) and len(argv) > 2 else argv  # noqa: PLR2004 - sh, -c and the script


def _options(command: HostCommand) -> list[str]:
    options = [word for name, value in command.environment.items() for word in ("-e", f"{name}={value}")]
    return [*options, *(["-w", command.folder] if command.folder else [])]


def _argv(command: HostCommand) -> list[str]:
    if command.shell:
        return [command.shell, "-c", command.text]
    try:
        return shlex.split(command.text)
    except ValueError as error:
        raise CommandRefused(f"the command's quotes do not match ({error})") from error


def _no_host(text: str) -> str:
    user, *rest = text.split(None, 1)
    hint = f" If {user!r} is the user of a system crontab, add --system." if _is_docker_exec(*rest) else ""
    return (
        f"{_title(text)!r} would run on the host, where nothing is run from here. Name the agent in whose container "
        f"it can run, with --agent NAME, or write docker exec CONTAINER …{hint}"
    )


def _is_docker_exec(text: str = "") -> bool:
    return bool(_DOCKER_EXEC.match(text))


def _title(text: str) -> str:
    """The beginning of a command, without the values it is given in front: TOKEN=…"""
    line = " ".join(_ASSIGNMENTS.sub("", text, count=1).split())
    return line if len(line) <= _LONGEST_TITLE else line[:_LONGEST_TITLE].rsplit(" ", 1)[0]
