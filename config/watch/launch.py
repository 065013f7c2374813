"""The whole of `make run` once the virtual environment exists."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from config.watch import announce, envfile, leftovers, loopback, ports, programs, redis_server, s3_server
from config.watch.errors import LaunchError, StopAsked
from config.watch.folder import DataFolder
from config.watch.settings import HOST, Settings, read
from config.watch.supervisor import Supervisor
from config.watch.terminal import complain, say, shown
from config.watch.wakeup import Wakeup

READY_SECONDS = 180.0
DEFAULT_FLOWER_PORT = 5555


def main() -> int:
    os.umask(0o077)  # everything below the data folder is this user's alone
    try:
        settings = read(os.environ, project=Path(__file__).resolve().parents[2])
        data = DataFolder(settings.data)
        return _launch(settings, data)
    except LaunchError as error:
        complain(str(error))
        return 1
    except OSError as error:  # a full disk, an exhausted process table
        complain(f"The watch cannot run: {error}")
        return 1


def _launch(settings: Settings, data: DataFolder) -> int:
    """Check everything that can be checked, and only then start anything."""
    ports.require(settings.port, variable="PORT")
    flower_port = _flower_port(settings)
    redis_binary = None if settings.redis_url else redis_server.find_binary()
    rclone = None if settings.has_own_s3 else s3_server.find_binary()
    if settings.redis_url:
        _require_redis(settings.redis_url)

    wakeup = Wakeup()
    supervisor = Supervisor(wakeup)
    try:
        leftovers.end(data.path)
        values = _values(settings, data, flower_port)
        env = programs.environment(data, values)
        if redis_binary:
            _start_redis(supervisor, redis_binary, data, env)
        if rclone:
            server = s3_server.child(rclone, data, values)
            supervisor.start_ready(server, lambda: s3_server.answers(values))
        _start_programs(supervisor, programs.Programs(settings, data, env), settings, flower_port)
        announce.ready(settings, data, flower_url=values["FLOWER_URL"])
        supervisor.tend()
    except StopAsked:
        say("Stopping. Ctrl-C again hastens it.")
    finally:
        began = time.monotonic()
        supervisor.stop_all()
    say(f"Stopped after {time.monotonic() - began:.1f} s. Everything is kept in {shown(data.path)}/.")
    return 0


def _start_redis(supervisor: Supervisor, binary: Path, data: DataFolder, env: Mapping[str, str]) -> None:
    socket = redis_server.socket_path(data)
    redis_server.end_stale(socket)
    server = replace(redis_server.child(binary, data, socket), env=env)
    supervisor.start_ready(server, lambda: redis_server.answers(socket))


def _start_programs(supervisor: Supervisor, children: programs.Programs, settings: Settings, flower_port: int) -> None:
    say("Preparing the database …")
    supervisor.run(children.migrate())
    made = supervisor.run(children.bootstrap())
    announce.first_password(settings, made)
    announce.storage_problem(made)
    say("Starting web, beat, worker and Flower …")
    web = children.web()
    for child in (web, children.beat(), children.worker(), children.flower(flower_port)):
        supervisor.start(child)
    if not supervisor.tend(until=lambda: loopback.is_healthy(settings.port), seconds=READY_SECONDS):
        raise LaunchError(f"{settings.url}/health did not answer within {READY_SECONDS:.0f} s. Log: {shown(web.log)}")


def _values(settings: Settings, data: DataFolder, flower_port: int) -> dict[str, str]:
    """Settle every setting of this start, and write it down for a second terminal."""
    former = envfile.read(data.env_file)
    values = {
        "SECRET_KEY": settings.secret_key or former.get("SECRET_KEY") or secrets.token_urlsafe(48),
        "REDIS_URL": settings.redis_url or redis_server.url(redis_server.socket_path(data)),
        "FLOWER_BASIC_AUTH": former.get("FLOWER_BASIC_AUTH") or f"watch:{secrets.token_urlsafe(18)}",
        "FLOWER_URL": f"http://{HOST}:{flower_port}",
        "WATCHBILL_URL": settings.url,
        "WORKER_SLOTS": str(settings.worker_slots),  # beat admits by it
    }
    if settings.database_url:
        values["DATABASE_URL"] = settings.database_url
    values |= settings.s3 if settings.has_own_s3 else s3_server.environment(former, settings.s3)
    envfile.write(data.env_file, values)
    return values


def _flower_port(settings: Settings) -> int:
    if settings.flower_port == settings.port:
        raise LaunchError(
            f"PORT and FLOWER_PORT are both {settings.port}. Take another: FLOWER_PORT={settings.port + 1}"
        )
    if settings.flower_port:
        return ports.require(settings.flower_port, variable="FLOWER_PORT")
    return ports.first_free(DEFAULT_FLOWER_PORT)


def _require_redis(url: str) -> None:
    """Ask the person's own Redis before anything is started. Its address is shown, its password never."""
    done = subprocess.run(
        [sys.executable, "-m", "config.watch.ping"],
        env={**os.environ, "REDIS_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        parts = urlsplit(url)
        where = parts.path if parts.scheme == "unix" else f"{parts.hostname}:{parts.port or 6379}"
        reason = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:]
        raise LaunchError(
            f"The Redis of REDIS_URL ({where}) does not answer: {' '.join(reason)} "
            "Start it or mend the address; without REDIS_URL an embedded one is used."
        )
