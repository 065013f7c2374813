"""`python -m config.watch.ping`: does the Redis of REDIS_URL answer?

A process of its own, because the Redis client is large and the supervisor needs it only once.
"""

from __future__ import annotations

import os
import sys

import redis

SECONDS = 2


def main() -> int:
    try:
        client = redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
        client.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
