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
BEGIN = time.monotonic() + float(WARMUP)
END = BEGIN + float(SECONDS)
MARK = "/peer-%d" % os.getpid()
DATA = b"x" * int(PAYLOAD)


def note(times, asked):
    """Whether it goes on; what began in time and has ended in time counts."""
    now = time.monotonic()
    if asked >= BEGIN and now <= END:
        times.append(now - asked)
    return now < END


def again(turn, times):
    while True:
        asked = time.monotonic()
        turn()
        if not note(times, asked):
            return


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

    while time.monotonic() < END:
        room.acquire()
        asked = time.monotonic()

        def answered(result, asked=asked):
            result.get()
            note(times, asked)
            room.release()

        ask().rawlink(answered)
    for _ in range(int(DEPTH)):
        room.acquire()


def take_and_release(lock):
    with lock:
        pass


def take(queue):
    while queue.get() is None:
        pass


def count(counter):
    counter += 1


def main():
    counted, others, samples = [], [], []

    def add(group, target, *arguments):
        times = []
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
            add(others, again, lambda queue=queue: queue.put(DATA))
        else:
            sys.exit("no %s here" % MODE)
    for thread in counted + others:
        thread.start()
    time.sleep(max(0.0, BEGIN - time.monotonic()))
    before = time.process_time()
    for thread in counted:
        thread.join()
    cpu = time.process_time() - before
    every = sorted(sum(samples, []))
    figures = {
        "operations_per_second": len(every) / float(SECONDS),
        "p50_us": every[len(every) // 2] * 1e6,
        "p99_us": every[int((len(every) - 1) * 0.99)] * 1e6,
        "cpu_us_per_operation": cpu * 1e6 / len(every),
    }
    print(json.dumps(figures), flush=True)
    os._exit(0)


main()
