"""Works at one path with one of kazoo's recipes, as lines of standard input tell, and says by lines
what came of it; ends with standard input.

    kazoo_worker.py CONNECT RECIPE PATH

RECIPE is counter, integer (the counter for Curator), queue, barrier, double-barrier, partitioner or
party.
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


class Dividing:
    """join ID PARTS: from now on, it uses what it has; uses PARTS: once that is so; leave."""

    def __init__(self, client, path):
        self.client, self.path, self.used = client, path, []
        self.changed, self.leaving = threading.Condition(), threading.Event()

    def join(self, id_, parts):
        self.sharing = threading.Thread(target=self.share, args=(id_, parts.split(",")))
        self.sharing.start()

    def share(self, id_, parts):
        share = self.client.SetPartitioner(
            self.path, parts, identifier=id_, time_boundary=0.1, max_reaction_time=0.1
        )
        while not self.leaving.is_set():
            share.state_change_event.clear()
            if share.failed:
                say("failed")
                return
            if share.release:
                self.use([])
                share.release_set()
            elif share.acquired:
                if not self.used:
                    self.use(list(share))
                share.state_change_event.wait(0.01)
            else:
                share.wait_for_acquire(0.01)
        self.use([])
        share.finish()

    def use(self, parts):
        for part in self.used:
            self.client.delete(f"{self.path}-uses/{part}")
        for part in parts:
            # Fails if somebody else uses it.
            self.client.create(f"{self.path}-uses/{part}", b"theirs", ephemeral=True)
        with self.changed:
            self.used = parts
            self.changed.notify_all()

    def uses(self, parts):
        with self.changed:
            self.changed.wait_for(lambda: self.used == parts.split(","))

    def leave(self):
        self.leaving.set()
        self.sharing.join()


class Partying:
    """join ID, leave ID; sees IDS: until these are there, as far as it can see, and no others."""

    def __init__(self, client, path):
        self.client, self.path, self.members = client, path, {}

    def join(self, id_):
        self.members[id_] = self.client.Party(self.path, id_)
        self.members[id_].join()

    def leave(self, id_):
        self.members.pop(id_).leave()

    def sees(self, ids):
        while sorted(self.client.Party(self.path)) != ids.split(","):
            self.client.sync(self.path)


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
        "partitioner": lambda: Dividing(client, path),
        "party": lambda: Partying(client, path),
    }[recipe]()
    say("done")
    for line in sys.stdin:
        verb, *words = line.split()
        getattr(worker, verb)(*words)
        say("done")
    client.stop()
    os._exit(0)


main()
