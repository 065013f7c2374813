"""What the launcher reads from the environment and writes for a second terminal."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.watch import envfile, s3_server
from config.watch.announce import first_password
from config.watch.errors import LaunchError
from config.watch.settings import read
from config.watch.terminal import framed, ordinal

PROJECT = Path("/project")


def test_defaults_need_no_environment() -> None:
    settings = read({}, project=PROJECT)
    assert (settings.port, settings.url) == (8000, "http://127.0.0.1:8000")
    assert settings.data == PROJECT / "var"
    assert settings.flower_port is None
    assert not settings.redis_url
    assert not settings.database_url
    assert not settings.has_own_s3


def test_an_empty_value_counts_as_not_given() -> None:
    settings = read({"PORT": "", "WATCHBILL_DATA": "", "S3_ENDPOINT_URL": ""}, project=PROJECT)
    assert settings.port == 8000
    assert settings.data == PROJECT / "var"
    assert settings.s3 == {}


@pytest.mark.parametrize("text", ["abc", "0", "-1", "65536", "80.5", "٣٣٣٣"])
def test_a_port_that_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(LaunchError, match=r"^PORT=.* is not a number from 1 to 65535\.$"):
        read({"PORT": text}, project=PROJECT)


@pytest.mark.parametrize(
    ("given", "own"),
    [
        ({"S3_ENDPOINT_URL": "http://s3.internal:9000"}, True),
        ({"S3_ACCESS_KEY_ID": "AKIA", "S3_BUCKET": "b"}, True),
        ({"S3_BUCKET": "b"}, False),
    ],
)
def test_a_bucket_alone_is_a_name_for_the_embedded_s3(given: dict[str, str], own: bool) -> None:
    assert read(given, project=PROJECT).has_own_s3 is own


def test_env_file_keeps_values_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "watch.env"
    values = {"SECRET_KEY": "a=b==", "REDIS_URL": "unix:///x?db=0"}
    envfile.write(path, values)
    envfile.write(path, values)
    assert envfile.read(path) == values
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["watch.env"]


def test_embedded_s3_keeps_its_keys_and_port_over_restarts() -> None:
    first = s3_server.environment({}, {})
    assert s3_server.environment(first, {}) == first


def test_a_persons_own_s3_keys_never_become_the_embedded_servers() -> None:
    former = {"S3_ENDPOINT_URL": "http://s3.internal:9000", "S3_ACCESS_KEY_ID": "AKIA"}
    values = s3_server.environment(former, {})
    assert values["S3_ACCESS_KEY_ID"] != "AKIA"
    assert values["S3_ENDPOINT_URL"].startswith("http://127.0.0.1:")


def test_first_password_is_shown_framed(capsys: pytest.CaptureFixture[str]) -> None:
    first_password(
        read({}, project=PROJECT),
        '{"admin": {"username": "admin", "password": "pa55"}, "organisation": "main", "agent": "demo"}',
    )
    shown = capsys.readouterr().out
    assert "|  Password     pa55" in shown
    assert "Sign in as   admin" in shown


@pytest.mark.parametrize("output", ["", '{"admin": {"username": "admin", "password": null}}'])
def test_no_frame_when_the_admin_existed(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    first_password(read({}, project=PROJECT), output)
    assert capsys.readouterr().out == ""


def test_frame_is_even() -> None:
    assert len({len(line) for line in framed(["a", "longer"]).splitlines()}) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1, "1st"),
        (2, "2nd"),
        (3, "3rd"),
        (4, "4th"),
        (11, "11th"),
        (12, "12th"),
        (21, "21st"),
        (113, "113th"),
    ],
)
def test_ordinals(number: int, text: str) -> None:
    assert ordinal(number) == text
