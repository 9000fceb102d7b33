"""Contends with kazoo's recipes until standard input ends, and tells a referee of every turn.

    kazoo_contender.py CONNECT RECIPE PATH REFEREE

RECIPE is mutex, write, read, semaphore-N or latch (kazoo's Election); REFEREE is host:port.
"""

import logging
import os
import random
import socket
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss


def end_with_standard_input():
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


class Referee:
    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.file = socket.create_connection((host, int(port))).makefile("rw")

    def say(self, what):
        self.file.write(what + "\n")
        self.file.flush()
        if not self.file.readline():
            os._exit(0)

    def turn(self, client, how, node):
        token = client.retry(client.exists, node).czxid
        self.say(f"enter {how} {token}")
        time.sleep(random.random() / 500)
        self.say("leave")


def contend(client, recipe, path, referee):
    if recipe == "latch":
        election = client.Election(path, "kazoo")

        def lead():
            referee.turn(client, "alone", f"{path}/{election.lock.node}")

        while True:
            election.run(lead)
    if recipe.startswith("semaphore-"):
        semaphore = client.Semaphore(path, max_leases=int(recipe.split("-")[1]))
        while True:
            with semaphore:
                referee.turn(client, "one", semaphore.create_path)
    lock = {"mutex": client.Lock, "write": client.WriteLock, "read": client.ReadLock}[recipe](path)
    while True:
        with lock:
            how = "shared" if recipe == "read" else "alone"
            referee.turn(client, how, f"{path}/{lock.node}")


def main():
    logging.disable()
    connect, recipe, path, referee = sys.argv[1:]
    threading.Thread(target=end_with_standard_input, daemon=True).start()
    client = KazooClient(
        hosts=connect,
        timeout=4,
        connection_retry={"max_tries": -1, "delay": 0.05, "backoff": 1},
        command_retry={"max_tries": -1, "delay": 0.05, "backoff": 1},
    )
    client.start()
    client.ensure_path(path)
    referee = Referee(referee)
    while True:
        # What a lost connection breaks off is begun again, in the same session.
        try:
            contend(client, recipe, path, referee)
        except ConnectionLoss:
            pass


main()
