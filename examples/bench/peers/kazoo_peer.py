"""kazoo under the load of the bench; see peers.sh."""

import json
import os
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
from kazoo.recipe.queue import Queue

MODE, CONNECT, SESSIONS, DEPTH, PAYLOAD, WARMUP, SECONDS, _NODES = sys.argv[1:]
# How many items a queue holds at most: producers wait.
ROOM = threading.Semaphore(64)
MARK = "/peer-%d" % os.getpid()
DATA = b"x" * int(PAYLOAD)


class Span:
    """From when to when what happens counts: from when every session stands."""

    begin = end = 0.0

    @classmethod
    def starts(cls):
        cls.begin = time.monotonic() + float(WARMUP)
        cls.end = cls.begin + float(SECONDS)


class Times:
    """What has happened: how often, and how long what has also begun in time took."""

    def __init__(self):
        self.done, self.each = 0, []

    def note(self, asked):
        """Whether it goes on."""
        now = time.monotonic()
        if Span.begin <= now <= Span.end:
            self.done += 1
            if asked >= Span.begin:
                self.each.append(now - asked)
        return now < Span.end


def again(turn, times):
    while True:
        asked = time.monotonic()
        turn()
        if not times.note(asked):
            return


def for_ever(turn, _times):
    while True:
        turn()


def requests(client, path, times):
    """So many requests under way."""
    try:
        client.create(path, DATA)
    except NodeExistsError:
        pass
    room = threading.Semaphore(int(DEPTH))

    def ask():
        if MODE == "set":
            return client.set_async(path, DATA)
        return client.get_async(path)

    while time.monotonic() < Span.end:
        room.acquire()
        asked = time.monotonic()

        def answered(result, asked=asked):
            result.get()
            times.note(asked)
            room.release()

        ask().rawlink(answered)
    for _ in range(int(DEPTH)):
        room.acquire()


def take_and_release(lock):
    with lock:
        pass


def put(queue):
    ROOM.acquire()
    queue.put(DATA)


def take(queue):
    while queue.get() is None:
        pass
    ROOM.release()


def count(counter):
    counter += 1


def report(done, each, seconds, cpu):
    each.sort()
    figures = {
        "operations_per_second": done / seconds,
        "p50_us": each[len(each) // 2] * 1e6,
        "p99_us": each[int((len(each) - 1) * 0.99)] * 1e6,
        "cpu_us_per_operation": cpu * 1e6 / done,
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)


def bursts():
    """All take the same lock once, and again when the last one has let it go."""
    clients = [KazooClient(CONNECT, timeout=30) for _ in range(int(SESSIONS))]
    gate = threading.Barrier(len(clients) + 1)

    def contend(lock):
        while True:
            gate.wait()
            take_and_release(lock)
            gate.wait()

    for client in clients:
        client.start()
        threading.Thread(target=contend, args=(client.Lock(MARK),), daemon=True).start()
    Span.starts()
    done, took, before = 0, 0.0, None
    while time.monotonic() < Span.end:
        if before is None and time.monotonic() >= Span.begin:
            before = time.process_time()
        began = time.monotonic()
        gate.wait()
        gate.wait()
        if before is not None:
            done += len(clients)
            took += time.monotonic() - began
    report(done, [took / done], took, time.process_time() - before)


def fail(told):
    """What goes wrong in a thread must not look like having done less."""
    threading.__excepthook__(told)
    os._exit(1)


def main():
    threading.excepthook = fail
    if MODE == "contend-once":
        bursts()
    counted, others, samples = [], [], []

    def add(group, target, *arguments):
        times = Times()
        group.append(threading.Thread(target=target, args=(*arguments, times), daemon=True))
        return times

    for number in range(int(SESSIONS)):
        client = KazooClient(CONNECT, timeout=30)
        client.start()
        own = "%s-%d" % (MARK, number)
        if MODE in ("get", "set"):
            samples.append(add(counted, requests, client, own))
        elif MODE in ("lock", "contend"):
            lock = client.Lock(own if MODE == "lock" else MARK)
            samples.append(add(counted, again, lambda lock=lock: take_and_release(lock)))
        elif MODE == "counter":
            counter = client.Counter(MARK)
            samples.append(add(counted, again, lambda counter=counter: count(counter)))
        elif MODE == "queue":
            queue = Queue(client, MARK)
            samples.append(add(counted, again, lambda queue=queue: take(queue)))
            producer = KazooClient(CONNECT, timeout=30)
            producer.start()
            queue = Queue(producer, MARK)
            add(others, for_ever, lambda queue=queue: put(queue))
        else:
            sys.exit("no %s here" % MODE)
    Span.starts()
    for thread in counted + others:
        thread.start()
    time.sleep(max(0.0, Span.begin - time.monotonic()))
    before = time.process_time()
    for thread in counted:
        thread.join()
    cpu = time.process_time() - before
    done = sum(times.done for times in samples)
    report(done, sum((times.each for times in samples), []), float(SECONDS), cpu)


main()
