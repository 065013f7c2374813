"""Dkron's executors: ``shell`` becomes a command in a container; the others have no counterpart."""

from __future__ import annotations

import json
from typing import Any

from schedules.exchange.host_commands import CommandRefused, HostCommand, container_job
from schedules.exchange.sources import Source
from schedules.timing import ExpressionError
from schedules.timing.durations import duration_seconds

# SOP-001 calls it background.
_SHELL = ("shell", "background")
_WAYS_OUT = {
    "http": "call it from a container: docker exec CONTAINER curl -fsS URL",
}
_CARRIED = {"command", "shell", "timeout", "env", "cwd"}


class DkronRefused(ValueError):
    """A job that can't be taken; the message shows the way out."""


def command_values(job: dict[str, Any], source: Source, notes: list[str]) -> dict[str, Any]:
    """The fields of a job that say what runs. Raises :class:`DkronRefused`."""
    executor, config = text_of(job, "executor"), job.get("executor_config") or {}
    if executor not in _SHELL:
        way_out = _WAYS_OUT.get(executor, "run a command instead: docker exec CONTAINER COMMAND…")
        raise DkronRefused(f'the executor "{executor}" is not here; {way_out}')
    if not isinstance(config, dict):
        raise DkronRefused("executor_config has to be an object")
    notes += [f"executor_config.{key} dropped" for key, value in config.items() if key not in _CARRIED and value]
    try:
        found = container_job(_host_command(config), source)
    except CommandRefused as error:
        raise DkronRefused(str(error)) from error
    notes += found.notes
    values = {"executor": "container.command", "payload": {"command": found.command}, "agent": found.agent}
    return {**values, **_timeout(config, notes)}


def text_of(values: dict[str, Any], key: str) -> str:
    """The text of a field; what is missing is empty. Raises :class:`DkronRefused` for what is no text."""
    value = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DkronRefused(f"{key} {value!r} has to be text")
    return value.strip()


def flag(values: dict[str, Any], key: str) -> bool:
    """Dkron writes truths, and within ``executor_config`` their words."""
    value = values.get(key)
    return value is True or (isinstance(value, str) and value.lower() in {"true", "t", "1"})


def _host_command(config: dict[str, Any]) -> HostCommand:
    command = text_of(config, "command")
    if not command:
        raise DkronRefused("executor_config.command is missing")
    return HostCommand(
        text=command,
        shell="sh" if flag(config, "shell") else "",
        environment=_environment(config.get("env")),
        folder=text_of(config, "cwd"),
    )


def _environment(value: object) -> dict[str, str]:
    """``A=b,C=d`` as Dkron writes it, or an object, in JSON or as it is."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise DkronRefused(f"executor_config.env is not JSON ({error})") from error
    if isinstance(value, dict):
        return {str(name): str(each) for name, each in value.items()}
    pairs = [each.partition("=") for each in str(value or "").split(",") if each.strip()]
    if wrong := [name for name, sign, _ in pairs if not sign]:
        raise DkronRefused(f'executor_config.env "{wrong[0]}" is no NAME=VALUE')
    return {name.strip(): each for name, _, each in pairs}


def _timeout(config: dict[str, Any], notes: list[str]) -> dict[str, int]:
    value = config.get("timeout")
    if value in (None, "", 0, "0"):
        notes.append("no time limit in Dkron; here a run ends after an hour (timeout_seconds)")
        return {}
    if isinstance(value, int) and not isinstance(value, bool):
        return {"timeout_seconds": value}
    text = str(value)
    try:
        return {"timeout_seconds": int(text) if text.isdigit() and text.isascii() else duration_seconds(text)}
    except ExpressionError as error:
        raise DkronRefused(f'executor_config.timeout "{text}": {error.reason}; try 10m') from error
