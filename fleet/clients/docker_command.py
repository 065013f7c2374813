"""Reading ``docker exec …`` as people write it, without a shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

RIGHT_FORM = "docker exec [-e KEY=VALUE] [-u USER] [-w FOLDER] CONTAINER COMMAND…"
#: What only a shell would understand. Quoted ones are plain text and pass.
_OPERATORS = ("$(", "`", "&&", "||", "|", ">", "<", ";", "&")
_WITH_VALUE = {
    "-e": "env",
    "--env": "env",
    "-u": "user",
    "--user": "user",
    "-w": "workdir",
    "--workdir": "workdir",
}
_IGNORED = {"-i": "i", "--interactive": "i", "-t": "t", "--tty": "t"}
_REFUSED = {
    "-d": "the run must see how the command ends, which a detached one hides: leave -d out",
    "--detach": "the run must see how the command ends, which a detached one hides: leave --detach out",
    "--privileged": "a scheduled command gets no more rights than its container has: leave --privileged out",
}


class DockerCommandError(ValueError):
    """A command that cannot be run as it is written; the message shows how to write it."""


@dataclass(frozen=True, kw_only=True)
class DockerExec:
    container: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    notes: tuple[str, ...] = ()


def parse_docker_exec(command: str) -> DockerExec:
    """Raises :class:`DockerCommandError`."""
    words = _words(command)
    if words[:2] != ["docker", "exec"]:
        raise DockerCommandError(
            f"Only 'docker exec' can be scheduled, not {' '.join(words[:2])!r}. Write: {RIGHT_FORM}",
        )
    options = _Options()
    rest = options.take(words[2:])
    if len(rest) < 2:  # noqa: PLR2004 - the container and at least one word of a command
        missing = "a command" if rest else "a container and a command"
        raise DockerCommandError(f"The command lacks {missing}. Write: {RIGHT_FORM}")
    return DockerExec(
        container=rest[0],
        argv=tuple(rest[1:]),
        env=options.env,
        user=options.values.get("user", ""),
        workdir=options.values.get("workdir", ""),
        notes=tuple(options.notes),
    )


def mask_environment(command: str) -> str:
    """The command as it may be kept for people to read: ``-e TOKEN=***``. What cannot be read is not shown at all."""
    if command.split()[:2] != ["docker", "exec"]:
        return command
    try:
        if not parse_docker_exec(command).env:
            return command
        words = _words(command)
    except DockerCommandError:
        return "docker exec ***"
    options = len(words) - len(_Options().take(words[2:]))
    return " ".join([*_masked(words[:options]), shlex.join(words[options:])])


def _masked(options: list[str]) -> list[str]:
    masked: list[str] = []
    is_value, is_environment = False, False
    for word in options:
        if is_value:
            masked.append(_mask(word) if is_environment else shlex.quote(word))
            is_value = False
            continue
        name, equals, _ = word.partition("=")
        short = "" if word.startswith("--") else word[:2]
        is_environment = "env" in {_WITH_VALUE.get(name), _WITH_VALUE.get(short)}
        is_value = name in _WITH_VALUE and not equals
        masked.append(_mask(word) if is_environment and not is_value else shlex.quote(word))
    return masked


def _mask(assignment: str) -> str:
    """Of ``A=b``, ``-eA=b``, ``-e=A=b`` and ``--env=A=b`` the part before the value."""
    name, _, rest = assignment.partition("=")
    key = f"{name}={rest.partition('=')[0]}" if name in _WITH_VALUE else name
    return f"{shlex.quote(key)}=***"


def _words(command: str) -> list[str]:
    if "\0" in command:
        raise DockerCommandError("The command holds a NUL character, which no program can be given.")
    _refuse_operators(command)
    try:
        return shlex.split(command)
    except ValueError as error:
        raise DockerCommandError(f"The command's quotes do not match ({error}). Write: {RIGHT_FORM}") from error


def _refuse_operators(command: str) -> None:
    bare = _outside_quotes(command)
    for operator in _OPERATORS:
        if operator in bare or (operator in {"$(", "`"} and operator in outside_single_quotes(command)):
            raise DockerCommandError(
                f"There is no shell here that would understand {operator!r}. "
                "If the container's shell should, wrap it: docker exec agent sh -c '…'",
            )


def _outside_quotes(command: str) -> str:
    return _outside(command, "'\"")


def outside_single_quotes(command: str) -> str:
    """Within double quotes a shell still substitutes commands."""
    return _outside(command, "'")


def _outside(command: str, quotes: str) -> str:
    """The text outside of these quotes, without escaped characters; a blank stands for each quoted part."""
    kept: list[str] = []
    quote = ""
    characters = iter(command)
    for character in characters:
        if character == "\\" and quote != "'":
            next(characters, "")
            continue
        if quote:
            quote = "" if character == quote else quote
            inside = True
        else:
            inside = character in "'\""
            quote = character if inside else ""
        if not inside or (quote or character) not in quotes:
            kept.append(character)
    return "".join(kept)


class _Options:
    """The options between ``exec`` and the container."""

    def __init__(self) -> None:
        self.env: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.notes: list[str] = []

    def take(self, words: list[str]) -> list[str]:
        """Answers the words after the options."""
        words = list(words)
        while words and words[0].startswith("-") and words[0] != "-":
            word = words.pop(0)
            if word == "--":
                break
            self._one(word, words)
        return words

    def _one(self, word: str, words: list[str]) -> None:
        name, equals, value = word.partition("=")
        if name in _REFUSED:
            raise DockerCommandError(f"{name} is not possible here: {_REFUSED[name]}.")
        if name in _WITH_VALUE:
            self._value(name, value if equals else self._next(name, words))
        elif name in _IGNORED or (set(name[1:]) <= {"i", "t"} and name[:1] == "-" and name[1:]):
            self.notes.append(f"{name} is ignored: a scheduled command has no terminal and no input.")
        elif name[:2] in _WITH_VALUE and not name.startswith("--"):
            self._value(name[:2], word[2:])
        else:
            raise DockerCommandError(f"The option {name} is not known here. Write: {RIGHT_FORM}")

    @staticmethod
    def _next(name: str, words: list[str]) -> str:
        if not words:
            raise DockerCommandError(f"The option {name} lacks its value. Write: {RIGHT_FORM}")
        return words.pop(0)

    def _value(self, name: str, value: str) -> None:
        if _WITH_VALUE[name] != "env":
            self.values[_WITH_VALUE[name]] = value
            return
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise DockerCommandError(
                f"{name} needs KEY=VALUE, not {value!r}: there is no environment here to take a value from.",
            )
        self.env[key] = text
