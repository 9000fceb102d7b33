"""Works at one path with one of kazoo's recipes, as lines of standard input tell, and says by lines
what came of it; ends with standard input.

    kazoo_worker.py CONNECT RECIPE PATH

RECIPE is counter, integer (the counter for Curator), queue, barrier or double-barrier.
"""

import logging
import os
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionClosedError, NoNodeError


def say(*words):
    # In one piece, since others speak meanwhile.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Counting:
    """add COUNT: says each sum."""

    def __init__(self, client, path, for_curator):
        self.counter = client.Counter(path, support_curator=for_curator)

    def add(self, count):
        for _ in range(int(count)):
            self.counter += 1
            say("sum", self.counter.post_value)


class Queueing:
    """put WORD COUNT; consume: from now on."""

    def __init__(self, client, path):
        # Each for one thread.
        self.putting, self.taking = client.Queue(path), client.Queue(path)

    def put(self, word, count):
        for i in range(int(count)):
            self.putting.put(f"{word}-{i}".encode(), priority=100 + i * 7 % 11 - 5)

    def consume(self):
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        while True:
            try:
                item = self.taking.get()
            except ConnectionClosedError:
                return
            if item is None:
                time.sleep(0.001)
            else:
                say("took", int(time.time() * 1000), item.decode())


class Waiting:
    """close, open, and wait, which says whether it is closed then."""

    def __init__(self, client, path):
        self.client, self.barrier = client, client.Barrier(path)

    def close(self):
        self.barrier.create()

    def open(self):
        self.barrier.remove()

    def wait(self):
        self.barrier.wait()
        say("closed", "true" if self.client.exists(self.barrier.path) else "false")


class Meeting:
    """enter ROUND MEMBERS, and leave; each says how many are there then."""

    def __init__(self, client, path):
        self.client, self.path, self.barrier = client, path, None

    def enter(self, round_, members):
        self.barrier = self.client.DoubleBarrier(f"{self.path}/{round_}", int(members))
        self.barrier.enter()
        self.say_present()

    def leave(self):
        self.barrier.leave()
        self.say_present()

    def say_present(self):
        try:
            present = self.client.get_children(self.barrier.path)
        except NoNodeError:
            present = []
        say("present", len([name for name in present if name != "ready"]))


def main():
    logging.disable()
    connect, recipe, path = sys.argv[1:]
    retry = {"max_tries": -1, "delay": 0.001, "backoff": 1}
    client = KazooClient(hosts=connect, timeout=30, command_retry=retry)
    client.start()
    worker = {
        "counter": lambda: Counting(client, path, False),
        "integer": lambda: Counting(client, path, True),
        "queue": lambda: Queueing(client, path),
        "barrier": lambda: Waiting(client, path),
        "double-barrier": lambda: Meeting(client, path),
    }[recipe]()
    say("done")
    for line in sys.stdin:
        verb, *words = line.split()
        getattr(worker, verb)(*words)
        say("done")
    client.stop()
    os._exit(0)


main()
