"""The embedded S3: `rclone serve s3` on loopback, over plain files in the data folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from config.watch import ports
from config.watch.child import MARKER, Child
from config.watch.errors import LaunchError
from config.watch.folder import DataFolder
from config.watch.loopback import http_get
from config.watch.settings import HOST

BUCKET = "backups"
#: Marks the keys in ``watch.env`` as ours, so that those of a person's S3 are never handed to this server.
EMBEDDED = "S3_EMBEDDED"
#: What a killed server leaves of an unfinished upload; never acknowledged data.
_UNFINISHED = ".rclone_temp_*"


def find_binary() -> Path:
    found = shutil.which("rclone", path=str(Path(sys.prefix) / "bin")) or shutil.which("rclone")
    if not found:
        raise LaunchError(
            "No rclone was found for the embedded S3. Install your system's rclone package, or name an S3:"
            " S3_ENDPOINT_URL=… S3_ACCESS_KEY_ID=… S3_SECRET_ACCESS_KEY=… S3_BUCKET=… make run"
        )
    return Path(found)


def environment(former: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The S3 settings of the watch: those of its last start as far as they still hold, else new ones."""
    kept = former if former.get(EMBEDDED) else {}
    return {
        EMBEDDED: "yes",
        "S3_ENDPOINT_URL": f"http://{HOST}:{_port(kept.get('S3_ENDPOINT_URL', ''))}",
        # Short keys are refused by the server.
        "S3_ACCESS_KEY_ID": kept.get("S3_ACCESS_KEY_ID") or secrets.token_hex(10),
        "S3_SECRET_ACCESS_KEY": kept.get("S3_SECRET_ACCESS_KEY") or secrets.token_urlsafe(30),
        "S3_BUCKET": given.get("S3_BUCKET") or BUCKET,
        "S3_REGION": given.get("S3_REGION") or "us-east-1",
    }


def child(binary: Path, data: DataFolder, values: Mapping[str, str]) -> Child:
    folder = data.part("s3")
    for unfinished in folder.rglob(_UNFINISHED):
        unfinished.unlink(missing_ok=True)
    (folder / values["S3_BUCKET"]).mkdir(mode=0o700, exist_ok=True)
    address = values["S3_ENDPOINT_URL"].removeprefix("http://")
    # --config "": no file is read. --no-cleanup: the bucket stays when its last object goes.
    options = ("--config", "", "--addr", address, "--no-cleanup", "--vfs-cache-mode", "off")
    return Child(
        name="s3",
        argv=(str(binary), "serve", "s3", *options, str(folder)),
        env=_server_environment(data, values),
        log=data.log("s3"),
        cwd=folder,
        stops=((signal.SIGTERM, 2.0),),
        orphan_signal=signal.SIGTERM,
        stage=1,
    )


def answers(values: Mapping[str, str]) -> bool:
    """Whether the server speaks HTTP; it refuses the unsigned request, which is answer enough."""
    return http_get(urlsplit(values["S3_ENDPOINT_URL"]).port or 0, "/").startswith(b"HTTP/")


def _server_environment(data: DataFolder, values: Mapping[str, str]) -> dict[str, str]:
    """Nothing of the person's own rclone settings; the keys here and not in argv, where `ps` shows them."""
    base = {key: value for key, value in os.environ.items() if not key.startswith("RCLONE_")}
    pair = f'"{values["S3_ACCESS_KEY_ID"]},{values["S3_SECRET_ACCESS_KEY"]}"'
    return base | {"RCLONE_AUTH_KEY": pair, MARKER: str(data.path)}


def _port(former_endpoint: str) -> int:
    port = urlsplit(former_endpoint).port if former_endpoint else None
    return port if port and ports.is_free(port) else ports.any_free()
