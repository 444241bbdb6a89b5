"""A worker of a consumer group: takes entries of a Redis stream, works, acknowledges.

An entry is acknowledged after its work, so that none is lost, and one may be done twice: the work must bear that. What
a worker leaves behind when it dies, the others claim. Put your own work in the place of orders.process.

Needs Redis 7.0 or newer, or Valkey.
"""

import logging
import os
import signal
import socket
import threading
import time

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

import orders

log = logging.getLogger("worker")


def setting(name, default):
    return os.environ.get(name) or default


URL = setting("REDIS_URL", "redis://127.0.0.1:6379")
STREAM = setting("STREAM", "orders")
GROUP = setting("GROUP", "processing_group")
# Where a group that is created begins: "0" with all that is in the stream, "$" with what comes from then on.
GROUP_START = setting("GROUP_START", "0")
# One name for each process that lives: on Kubernetes, the name of the pod.
CONSUMER = setting("CONSUMER_NAME", socket.gethostname())
BATCH = int(setting("BATCH", "10"))
BLOCK_MS = int(setting("BLOCK_MS", "2000"))
# Longer than a batch may take: what is being worked on must not be claimed.
CLAIM_IDLE_MS = int(setting("CLAIM_IDLE_MS", "60000"))
# An entry that was tried so often goes to the dead letters.
MAX_DELIVERIES = int(setting("MAX_DELIVERIES", "3"))
DEAD_LETTERS = setting("DEAD_LETTERS", f"{STREAM}:dead")


class Worker:
    def __init__(self, client):
        self.client = client
        self.joined = False
        self.cursor = "0-0"
        self.next_claim = 0.0

    def step(self):
        """Takes one batch and works it off."""
        if not self.joined:
            self.join()
        for entry, fields in self.abandoned() or self.new():
            self.work(entry, fields)

    def join(self):
        try:
            self.client.xgroup_create(STREAM, GROUP, GROUP_START, mkstream=True)
            log.info("created group %s of %s at %s", GROUP, STREAM, GROUP_START)
        except redis.ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):  # it is there already
                raise
        # So that it is seen from the start: Redis 7.0 lists a consumer only once it was given something.
        self.client.xgroup_createconsumer(STREAM, GROUP, CONSUMER)
        self.joined = True

    def new(self):
        """Entries that nobody has taken yet; waits for one for BLOCK_MS."""
        reply = self.client.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=BATCH, block=BLOCK_MS)
        return reply[0][1] if reply else []

    def abandoned(self):
        """Entries that a worker took, this one perhaps, and left without a sign for CLAIM_IDLE_MS."""
        if time.monotonic() < self.next_claim:
            return []
        self.cursor, claimed, _ = self.client.xautoclaim(
            STREAM, GROUP, CONSUMER, CLAIM_IDLE_MS, self.cursor, count=BATCH
        )
        if self.cursor == "0-0":  # all were looked at: again after a quarter of the time
            self.next_claim = time.monotonic() + CLAIM_IDLE_MS / 1000 / 4
        return [(entry, fields) for entry, fields in claimed if not self.given_up(entry, fields)]

    def given_up(self, entry, fields):
        """Moves an entry to the dead letters that was tried too often already."""
        pending = self.client.xpending_range(STREAM, GROUP, entry, entry, 1)
        if not pending or pending[0]["times_delivered"] <= MAX_DELIVERIES:
            return False
        with self.client.pipeline(transaction=True) as both:
            both.xadd(DEAD_LETTERS, {**fields, "dead_entry": entry, "dead_group": GROUP})
            both.xack(STREAM, GROUP, entry)
            both.execute()
        log.error("gave up entry %s: it is in %s now", entry, DEAD_LETTERS)
        return True

    def work(self, entry, fields):
        try:
            orders.process(fields)
        except Exception as error:
            # Not acknowledged: it is claimed, and tried again, after CLAIM_IDLE_MS.
            log.warning("entry %s failed: %r", entry, error)
            return
        self.client.xack(STREAM, GROUP, entry)

    def leave(self):
        """Deletes the consumer, so that the names of pods that are gone do not pile up."""
        # Never one that holds entries: they would not be pending any more, and nobody would do them.
        if self.client.xpending_range(STREAM, GROUP, "-", "+", 1, CONSUMER):
            log.info("stopped; the others claim what is pending")
        else:
            self.client.xgroup_delconsumer(STREAM, GROUP, CONSUMER)
            log.info("stopped; nothing is pending")


def main():
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        # Only noted: an answer of Redis that is not read would leave its entries pending.
        signal.signal(number, lambda *_: stop.set())
    client = redis.Redis.from_url(
        URL,
        decode_responses=True,
        socket_connect_timeout=5,
        socket_timeout=BLOCK_MS / 1000 + 5,
        retry=Retry(NoBackoff(), 0),  # the loop below tries again
    )
    worker = Worker(client)
    log.info("consumer %s of group %s reads %s", CONSUMER, GROUP, STREAM)
    while not stop.is_set():
        try:
            worker.step()
        except redis.RedisError as error:
            log.warning("redis: %s", error)
            # It may have come back without its data, or somebody destroyed the group.
            worker.joined = False
            stop.wait(1)
    try:
        worker.leave()
    except redis.RedisError as error:
        log.warning("redis: %s", error)


if __name__ == "__main__":
    main()
