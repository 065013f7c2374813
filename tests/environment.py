"""The environment of the tests, set before Django reads it: nothing of this machine's leaks in.

Loaded by ``-p tests.environment``. Redis gets a free port that nobody listens on until a test asks for the
``redis`` fixture: the others meet a Redis that is down, which must do no harm.
"""

import atexit
import os
import shutil
import socket
import tempfile


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


_data = tempfile.mkdtemp(prefix="watchbill-tests-")
atexit.register(shutil.rmtree, _data, ignore_errors=True)

for _name in list(os.environ):
    if _name.startswith(("S3_", "AWS_", "DOCKER_HOST", "FLOWER_")):
        del os.environ[_name]
REDIS_PORT = _free_port()
os.environ.update(
    {
        "WATCHBILL_DATA": _data,
        "WATCHBILL_APPS": "tests.witness",
        "REDIS_URL": f"redis://127.0.0.1:{REDIS_PORT}/0",
        "SECRET_KEY": "only-for-the-tests-of-this-process",
        # The suite of the engine runs on both databases: see tests/acceptance/test_both_databases.py.
        "DATABASE_URL": os.environ.pop("TEST_DATABASE_URL", ""),
    }
)
if not os.environ["DATABASE_URL"]:
    del os.environ["DATABASE_URL"]
