"""Adds orders to the stream."""

import itertools
import logging
import os
import random
import signal
import sys
import time

import redis

log = logging.getLogger("producer")


def setting(name, default):
    return os.environ.get(name) or default


URL = setting("REDIS_URL", "redis://127.0.0.1:6379")
STREAM = setting("STREAM", "orders")
RATE = float(setting("RATE", "50"))  # orders a second
COUNT = int(setting("COUNT", "0"))  # 0: for ever
# The stream is trimmed to about so many. What is trimmed before it was read is lost: leave room for a bad day.
MAXLEN = int(setting("MAXLEN", "1000000"))


def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    client = redis.Redis.from_url(URL)
    for number in range(1, COUNT + 1) if COUNT else itertools.count(1):
        order = {"order": number, "amount": f"{random.uniform(1, 200):.2f}"}
        while True:
            try:
                client.xadd(STREAM, order, maxlen=MAXLEN, approximate=True)
                break
            except redis.RedisError as error:
                # Sent again, it may stand in the stream twice.
                log.warning("redis: %s", error)
                time.sleep(1)
        time.sleep(1 / RATE)


if __name__ == "__main__":
    main()
