"""The settings of the ``s3`` command, from the environment of an agent's container."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

from backups.archive.settings import (
    DEFAULT_BUCKET,
    DEFAULT_KEEP,
    DEFAULT_REGION,
    PROTECTION,
    S3Settings,
    protection_fault,
)

_MOST_KEPT = 1000
_VARIABLES = (
    ("S3_ENDPOINT_URL", "the server, such as http://minio:9000 (empty: Amazon S3)"),
    ("S3_ACCESS_KEY_ID", "or AWS_ACCESS_KEY_ID; required"),
    ("S3_SECRET_ACCESS_KEY", "or AWS_SECRET_ACCESS_KEY; required"),
    ("S3_BUCKET", f"default: {DEFAULT_BUCKET}"),
    ("S3_REGION", f"or AWS_REGION; default: {DEFAULT_REGION}"),
    ("S3_PREFIX", "default: workspace/AGENT, so that two agents in one bucket never prune each other"),
    ("S3_AGENT", "or AGENT_NAME: the AGENT above (default: the host's name, which a new container changes)"),
    ("S3_WORKSPACE", "or WORKSPACE: the folder; default: /workspace"),
    ("S3_SSE", "AES256 or aws:kms (default: what the bucket does by itself)"),
    ("S3_SSE_KMS_KEY_ID", "with aws:kms"),
    ("S3_OBJECT_LOCK_MODE", "GOVERNANCE or COMPLIANCE, with S3_OBJECT_LOCK_DAYS"),
    ("S3_OBJECT_LOCK_DAYS", "a locked archive can't be deleted for so long, nor by S3_KEEP"),
    ("S3_KEEP", f"how many archives stay, 1 to {_MOST_KEPT}; default: {DEFAULT_KEEP}"),
)


class EnvironmentValueError(Exception):
    """A variable that holds what it cannot mean."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    s3: S3Settings
    agent: str
    prefix: str
    folder: Path
    keep: int


def environment_help() -> str:
    lines = [f"  {name:<22}{text}" for name, text in _VARIABLES]
    return "environment:\n" + "\n".join(lines) + "\n\nexit codes: 0 done, 1 failure, 2 usage, 130 interrupted"


def read_environment(variables: Mapping[str, str]) -> Environment:
    def first(*names: str, default: str = "") -> str:
        return next((variables[name] for name in names if variables.get(name)), default)

    agent = first("S3_AGENT", "AGENT_NAME", default=socket.gethostname())
    return Environment(
        agent=agent,
        s3=S3Settings(
            endpoint_url=_endpoint(first("S3_ENDPOINT_URL")),
            access_key_id=first("S3_ACCESS_KEY_ID", "AWS_ACCESS_KEY_ID"),
            secret_access_key=first("S3_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY"),
            bucket=first("S3_BUCKET", default=DEFAULT_BUCKET),
            region=first("S3_REGION", "AWS_REGION", default=DEFAULT_REGION),
            **_protection(variables),
        ),
        prefix=first("S3_PREFIX") or f"workspace/{agent}",
        folder=Path(first("S3_WORKSPACE", "WORKSPACE", default="/workspace")),
        keep=_keep(first("S3_KEEP", default=str(DEFAULT_KEEP))),
    )


class _Protection(TypedDict):
    sse: str
    sse_kms_key_id: str
    object_lock_mode: str
    object_lock_days: int


def _protection(variables: Mapping[str, str]) -> _Protection:
    options = {name: variables.get(f"S3_{name.upper()}", "").strip() for name in PROTECTION}
    if fault := protection_fault(**options):
        raise EnvironmentValueError(fault)
    return _Protection(
        sse=options["sse"],
        sse_kms_key_id=options["sse_kms_key_id"],
        object_lock_mode=options["object_lock_mode"],
        object_lock_days=int(options["object_lock_days"] or 0),
    )


def _keep(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MOST_KEPT:
        raise EnvironmentValueError(f"S3_KEEP is {text!r}: give a number from 1 to {_MOST_KEPT}.")
    return int(text)


def _endpoint(text: str) -> str:
    if text and (urlsplit(text).scheme not in {"http", "https"} or not urlsplit(text).hostname):
        raise EnvironmentValueError("S3_ENDPOINT_URL is not a URL such as http://minio:9000: correct it.")
    return text
