#!/usr/bin/env python3
"""Facts about a ZooKeeper server, checked from the outside with kazoo.

    kazoo_suite.py CONNECT [--chroot PATH] [--no-4lw] [--only TEXT] [--list] [--blows FILE]

CONNECT is a connect string such as `127.0.0.1:2181`. The suite does not know what stands behind
it: it passes against Apache ZooKeeper, which makes it a fair judge of any other server. It works
under one node of a random name, which it removes at the end.

Each fact is a function named as a sentence. One line is printed for each, with its time, and a
last line `N passed, N failed`; the exit code is 1 when something failed. `--chroot` runs every
client below that path, `--no-4lw` skips the facts about four-letter words, `--only` runs the
facts whose name contains the text, `--list` just names them.

With `--blows` somebody kills servers meanwhile, and adds a byte to the file at the beginning and
at the end of each blow. Most facts speak of one connection, so one that does not hold is tried
again if a blow has fallen while it ran, and only then. What nobody may excuse, that sessions and
their nodes live through all of it, is watched from outside.

No fact sleeps and hopes. That something happened is waited for, with a bound; that something did
not happen is known after a round trip, because a server sends a watch event before any reply
that could reflect the change.
"""

import argparse
import datetime
import logging
import os
import queue
import select
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import uuid
from collections import namedtuple

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    BadArgumentsError,
    BadVersionError,
    ConnectionLoss,
    InvalidACLError,
    LockTimeout,
    NoAuthError,
    NoChildrenForEphemeralsError,
    NodeExistsError,
    NoNodeError,
    NotEmptyError,
    RolledBackError,
    RuntimeInconsistency,
)
from kazoo.protocol.states import Callback, EventType, KazooState
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.security import (
    ACL,
    CREATOR_ALL_ACL,
    OPEN_ACL_UNSAFE,
    READ_ACL_UNSAFE,
    Id,
    make_digest_acl,
)

# Long enough for a loaded machine with two cores; reached only when something is wrong.
WAIT_SECONDS = 15
FACT_SECONDS_MAX = 40
# How often a fact is tried that servers were killed under.
TRIALS_MAX = 8
# Sessions that must live, and sessions that are meant to expire within the run.
SESSION_SECONDS = 6.0
SHORT_SESSION_SECONDS = 0.8

FACTS = []


def fact(function):
    """Adds a function to the suite; it takes the World and raises when it does not hold."""
    FACTS.append(function)
    return function


def needs_4lw(function):
    """Marks a fact that is skipped with --no-4lw."""
    function.needs_4lw = True
    return function


def ignores_chroot(function):
    """Marks a fact that speaks of the server's own root, so that its nodes stand there."""
    function.ignores_chroot = True
    return function


# --- tools --------------------------------------------------------------------------------------


class Relay:
    """A TCP forwarder between one client and the server, which can be cut, closed or stalled."""

    def __init__(self, server):
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._links = []
        self._lock = threading.Lock()
        self._refusing = False
        self._stalled = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return "127.0.0.1:%d" % self._listener.getsockname()[1]

    def cut(self):
        """Ends every connection; the client may come back at once."""
        with self._lock:
            self._drop_links()

    def refuse(self):
        """Ends every connection, and each new one as soon as it is made."""
        with self._lock:
            self._refusing = True
            self._drop_links()

    def refuse_newcomers(self):
        """Ends each new connection as soon as it is made; those that stand go on."""
        with self._lock:
            self._refusing = True

    def stall(self):
        """Leaves connections open and swallows nothing, but passes nothing on either."""
        with self._lock:
            self._stalled = True

    def allow(self):
        """Ends a refusal or a stall."""
        with self._lock:
            self._refusing = False
            self._stalled = False

    def close(self):
        with self._lock:
            self._closed = True
        self._thread.join(WAIT_SECONDS)
        self._listener.close()
        self._drop_links()

    def _run(self):
        while True:
            with self._lock:
                if self._closed:
                    return
                sockets = [] if self._stalled else [s for link in self._links for s in link]
            try:
                ready, _, _ = select.select([self._listener, *sockets], [], [], 0.02)
            except (OSError, ValueError):
                continue  # A socket was dropped meanwhile.
            with self._lock:
                for sock in ready:
                    self._accept() if sock is self._listener else self._pass_on(sock)

    def _accept(self):
        client, _ = self._listener.accept()
        if self._refusing:
            client.close()
            return
        try:
            self._links.append((client, socket.create_connection(self._server, WAIT_SECONDS)))
        except OSError:
            client.close()

    def _pass_on(self, sock):
        for link in list(self._links):
            if sock not in link or self._stalled:
                continue
            other = link[1] if sock is link[0] else link[0]
            try:
                data = sock.recv(65536)
                other.sendall(data)
            except OSError:
                data = b""
            if not data:
                self._drop(link)

    def _drop_links(self):
        for link in list(self._links):
            self._drop(link)

    def _drop(self, link):
        self._links.remove(link)
        for sock in link:
            sock.close()


class Events:
    """A watch function that remembers what it was called with."""

    def __init__(self):
        self._queue = queue.Queue()

    def __call__(self, event):
        self._queue.put((event.type, event.path))

    def next(self):
        return self._queue.get(timeout=WAIT_SECONDS)

    def all(self):
        found = []
        while not self._queue.empty():
            found.append(self._queue.get())
        return found


class States:
    """The connection states a client has gone through."""

    def __init__(self, client):
        self._seen = []
        self._changed = threading.Condition()
        client.add_listener(self._add)

    def _add(self, state):
        with self._changed:
            self._seen.append(state)
            self._changed.notify_all()

    def mark(self):
        """A place in the history, for `wait_for`."""
        with self._changed:
            return len(self._seen)

    def wait_for(self, state, since=0):
        with self._changed:
            reached = self._changed.wait_for(lambda: state in self._seen[since:], WAIT_SECONDS)
            assert reached, "no %s within %s s, only %s" % (state, WAIT_SECONDS, self._seen)


class Task:
    """A function that runs in its own thread and whose outcome is asked for later."""

    def __init__(self, function, *arguments):
        self._outcome = queue.Queue()
        self._thread = threading.Thread(target=self._run, args=(function, arguments), daemon=True)
        self._thread.start()

    def _run(self, function, arguments):
        try:
            self._outcome.put((function(*arguments), None))
        except BaseException as error:  # Handed to whoever asks for the result.
            self._outcome.put((None, error))

    def running(self):
        return self._outcome.empty()

    def result(self):
        value, error = self._outcome.get(timeout=WAIT_SECONDS)
        if error is not None:
            raise error
        return value


class SetWatches(namedtuple("SetWatches", "relative_zxid data exist child")):
    """The request with which a client arms its watches anew; kazoo itself never sends it."""

    type = 101

    def serialize(self):
        parts = [struct.pack("!q", self.relative_zxid)]
        for paths in (self.data, self.exist, self.child):
            parts.append(struct.pack("!i", len(paths)))
            for path in paths:
                text = path.encode("utf-8")
                parts.append(struct.pack("!i", len(text)) + text)
        return b"".join(parts)

    @classmethod
    def deserialize(cls, _bytes, _offset):
        return True


class World:
    """What a fact works with: a client, a node of its own, and the means to make more clients."""

    def __init__(self, connect, chroot):
        self.connect_string = connect
        self.chroot = chroot
        host, port = connect.split(",")[0].rsplit(":", 1)
        self._server = (host, int(port))
        self._root = "/kazoo-" + uuid.uuid4().hex[:12]
        self._open = []
        if chroot:
            bare = self.client(chroot="")
            bare.ensure_path(chroot)
        self._main = {"": self._prepare(""), chroot: self._prepare(chroot)}
        self._kept, self._open = self._open, []

    def _prepare(self, chroot):
        client = self.client(timeout=30.0, chroot=chroot)
        client.ensure_path(self._root)
        return client

    def begin(self, number, chroot):
        """Gives the next fact its node."""
        self.zk = self._main[chroot]
        self.base = "%s/f%02d" % (self._root, number)
        self.zk.create(self.base)

    def end(self):
        """Ends the clients and relays that a fact has made."""
        while self._open:
            thing = self._open.pop()
            if isinstance(thing, KazooClient):
                thing.stop()
            thing.close()

    def close(self):
        for chroot in {"", self.chroot}:
            remove(self._main[chroot], self._root)
        self._open = self._kept
        self.end()

    def path(self, *names):
        return "/".join((self.base, *names))

    def relay(self):
        relay = Relay(self._server)
        self._open.append(relay)
        return relay

    def client(self, timeout=SESSION_SECONDS, via=None, chroot=None, **options):
        """A further client, directly or through a relay. It ends with the fact."""
        hosts = via.address if via else self.connect_string
        client = KazooClient(
            hosts=hosts + (self.chroot if chroot is None else chroot),
            timeout=timeout,
            connection_retry={"max_tries": -1, "delay": 0.05, "max_delay": 0.2},
            command_retry={"max_tries": -1, "delay": 0.01, "max_delay": 0.1},
            **options,
        )
        client.states = States(client)
        self._open.append(client)
        client.start(timeout=WAIT_SECONDS)
        # Of several servers, it may be at one that lags: it is to see what was written before it.
        client.sync("/")
        return client


def fails_with(error, function, *arguments, **named):
    try:
        value = function(*arguments, **named)
    except error:
        return
    raise AssertionError("expected %s, got %r" % (error.__name__, value))


def equal(found, expected):
    assert found == expected, "%r is not %r" % (found, expected)


def remove(zk, path):
    """Deletes a node with all below it. To delete it, one need not be allowed to list it."""
    try:
        children = zk.get_children(path)
    except NoAuthError:
        children = []
    for child in children:
        remove(zk, path + "/" + child)
    zk.delete(path)


def settle(client):
    """Returns once every event has been delivered that the server sent before now."""
    client.sync("/")
    flushed = threading.Event()
    client.handler.dispatch_callback(Callback("watch", flushed.set, ()))
    assert flushed.wait(WAIT_SECONDS)


def eventually(condition):
    """Waits, with a bound, for something that no watch can tell."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "did not come true within %s s" % WAIT_SECONDS
        time.sleep(0.01)


def wait_until_gone(zk, path):
    events = Events()
    if zk.exists(path, watch=events):
        equal(events.next(), (EventType.DELETED, path))


def reconnected(client, since):
    client.states.wait_for(KazooState.SUSPENDED, since)
    client.states.wait_for(KazooState.CONNECTED, since)


# --- nodes --------------------------------------------------------------------------------------


@fact
def a_created_node_is_read_back(w):
    equal(w.zk.create(w.path("a"), b"hello"), w.path("a"))
    data, stat = w.zk.get(w.path("a"))
    equal(data, b"hello")
    equal(stat.dataLength, 5)


@fact
def create_sets_every_field_of_the_stat(w):
    before = time.time() * 1000
    w.zk.create(w.path("a"), b"hello")
    stat = w.zk.exists(w.path("a"))
    assert stat.czxid > 0
    equal((stat.mzxid, stat.pzxid), (stat.czxid, stat.czxid))
    equal(stat.mtime, stat.ctime)
    assert abs(stat.ctime - before) < 60_000, "ctime is not wall-clock time in milliseconds"
    equal((stat.version, stat.cversion, stat.aversion), (0, 0, 0))
    equal((stat.ephemeralOwner, stat.dataLength, stat.numChildren), (0, 5, 0))


@fact
def set_raises_version_mzxid_and_mtime_and_nothing_else(w):
    w.zk.create(w.path("a"), b"one")
    old = w.zk.exists(w.path("a"))
    new = w.zk.set(w.path("a"), b"three")
    assert new.mzxid > old.mzxid and new.mtime >= old.mtime
    equal((new.version, new.dataLength), (1, 5))
    same = ("czxid", "ctime", "cversion", "aversion", "ephemeralOwner", "numChildren", "pzxid")
    for field in same:
        equal(getattr(new, field), getattr(old, field))
    equal(w.zk.exists(w.path("a")), new)


@fact
def a_new_child_raises_cversion_and_pzxid_of_its_parent_only(w):
    old = w.zk.exists(w.base)
    w.zk.create(w.path("a"))
    new = w.zk.exists(w.base)
    equal(new.pzxid, w.zk.exists(w.path("a")).czxid)
    equal((new.cversion, new.numChildren), (old.cversion + 1, 1))
    equal((new.version, new.mzxid, new.mtime), (old.version, old.mzxid, old.mtime))


@fact
def a_deleted_child_raises_cversion_and_pzxid_too(w):
    w.zk.create(w.path("a"))
    old = w.zk.exists(w.base)
    w.zk.delete(w.path("a"))
    new = w.zk.exists(w.base)
    equal((new.cversion, new.numChildren), (old.cversion + 1, 0))
    assert new.pzxid > old.pzxid


@fact
def children_of_children_do_not_touch_the_grandparent(w):
    w.zk.create(w.path("a"))
    old = w.zk.exists(w.base)
    w.zk.create(w.path("a", "b"))
    equal(w.zk.exists(w.base), old)


@fact
def set_with_the_right_version_succeeds_and_a_stale_one_fails(w):
    w.zk.create(w.path("a"))
    equal(w.zk.set(w.path("a"), b"1", version=0).version, 1)
    fails_with(BadVersionError, w.zk.set, w.path("a"), b"2", version=0)
    equal(w.zk.set(w.path("a"), b"2", version=-1).version, 2)
    equal(w.zk.get(w.path("a"))[0], b"2")


@fact
def delete_with_the_right_version_succeeds_and_a_stale_one_fails(w):
    w.zk.create(w.path("a"))
    w.zk.set(w.path("a"), b"1")
    fails_with(BadVersionError, w.zk.delete, w.path("a"), version=0)
    w.zk.delete(w.path("a"), version=1)
    equal(w.zk.exists(w.path("a")), None)


@fact
def a_node_with_children_cannot_be_deleted(w):
    w.zk.create(w.path("a"))
    w.zk.create(w.path("a", "b"))
    fails_with(NotEmptyError, w.zk.delete, w.path("a"))
    w.zk.delete(w.path("a"), recursive=True)
    equal(w.zk.exists(w.path("a")), None)


@fact
def a_second_create_fails_with_node_exists(w):
    w.zk.create(w.path("a"), b"first")
    fails_with(NodeExistsError, w.zk.create, w.path("a"), b"second")
    equal(w.zk.get(w.path("a"))[0], b"first")


@fact
def create_below_a_missing_parent_fails_with_no_node(w):
    fails_with(NoNodeError, w.zk.create, w.path("a", "b"))


@fact
def makepath_creates_the_missing_parents(w):
    equal(w.zk.create(w.path("a", "b", "c"), b"x", makepath=True), w.path("a", "b", "c"))
    equal(w.zk.get(w.path("a", "b"))[0], b"")


@fact
def ensure_path_may_be_repeated(w):
    w.zk.ensure_path(w.path("a", "b", "c"))
    w.zk.ensure_path(w.path("a", "b", "c"))
    assert w.zk.exists(w.path("a", "b", "c"))


@fact
def every_operation_on_a_missing_node_fails_with_no_node(w):
    missing = w.path("a")
    fails_with(NoNodeError, w.zk.get, missing)
    fails_with(NoNodeError, w.zk.set, missing, b"")
    fails_with(NoNodeError, w.zk.delete, missing)
    fails_with(NoNodeError, w.zk.get_children, missing)
    fails_with(NoNodeError, w.zk.get_acls, missing)
    fails_with(NoNodeError, w.zk.set_acls, missing, OPEN_ACL_UNSAFE)
    equal(w.zk.exists(missing), None)


@fact
def create_with_stat_returns_the_path_and_the_stat(w):
    path, stat = w.zk.create(w.path("a"), b"abc", include_data=True)
    equal(path, w.path("a"))
    equal(stat, w.zk.exists(w.path("a")))


@fact
def no_data_and_empty_data_are_told_apart(w):
    w.zk.create(w.path("none"), None)
    w.zk.create(w.path("empty"), b"")
    equal(w.zk.get(w.path("none"))[0], None)
    equal(w.zk.get(w.path("empty"))[0], b"")
    equal(w.zk.exists(w.path("none")).dataLength, 0)
    w.zk.set(w.path("empty"), None)
    equal(w.zk.get(w.path("empty"))[0], None)


@fact
def names_outside_ascii_and_arbitrary_bytes_survive(w):
    data = bytes(range(256))
    path = w.path("grüße-世界")
    equal(w.zk.create(path, data), path)
    equal(w.zk.get(path)[0], data)
    equal(w.zk.get_children(w.base), ["grüße-世界"])


@fact
def control_characters_in_a_path_are_bad_arguments(w):
    fails_with(BadArgumentsError, w.zk.create, w.path("a\x01"))
    equal(w.zk.get_children(w.base), [])


@fact
@ignores_chroot
def the_root_and_the_zookeeper_nodes_cannot_be_deleted(w):
    assert "zookeeper" in w.zk.get_children("/")
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"):
        fails_with(BadArgumentsError, w.zk.delete, path)
    fails_with(NodeExistsError, w.zk.create, "/")


@fact
def data_of_nearly_one_megabyte_survives(w):
    data = b"\xa5" * 1_048_000
    w.zk.create(w.path("a"), data)
    equal(w.zk.get(w.path("a"))[0] == data, True)
    w.zk.set(w.path("a"), data[:-1])
    equal(w.zk.exists(w.path("a")).dataLength, len(data) - 1)


@fact
def a_request_over_the_frame_limit_costs_the_connection_but_not_the_session(w):
    client = w.client()
    session = client.client_id
    mark = client.states.mark()
    fails_with(ConnectionLoss, client.create, w.path("a"), b"x" * 1_048_576)
    reconnected(client, mark)
    equal(client.client_id, session)
    equal(client.exists(w.path("a")), None)


@fact
def two_thousand_children_are_listed(w):
    names = ["%s-%04d" % ("x" * 100, number) for number in range(2000)]
    for pending in [w.zk.create_async(w.path(name)) for name in names]:
        pending.get(timeout=WAIT_SECONDS)
    equal(sorted(w.zk.get_children(w.base)), names)
    equal(w.zk.exists(w.base).numChildren, 2000)
    for pending in [w.zk.delete_async(w.path(name)) for name in names]:
        pending.get(timeout=WAIT_SECONDS)
    equal(w.zk.exists(w.base).cversion, 4000)


@fact
def children_come_with_the_stat_of_their_parent(w):
    w.zk.create(w.path("a"))
    w.zk.create(w.path("b"))
    children, stat = w.zk.get_children(w.base, include_data=True)
    equal(sorted(children), ["a", "b"])
    equal(stat, w.zk.exists(w.base))
    equal(stat.numChildren, 2)


@fact
def requests_in_flight_are_applied_and_answered_in_order(w):
    w.zk.create(w.path("a"))
    pending = []
    for number in range(100):
        pending.append(w.zk.set_async(w.path("a"), b"%d" % number))
        pending.append(w.zk.get_async(w.path("a")))
    for number in range(100):
        equal(pending[2 * number].get(timeout=WAIT_SECONDS).version, number + 1)
        equal(pending[2 * number + 1].get(timeout=WAIT_SECONDS)[0], b"%d" % number)


@fact
def sync_returns_its_path_and_makes_others_writes_visible(w):
    other = w.client()
    w.zk.create(w.path("a"), b"old")
    w.zk.set(w.path("a"), b"new")
    equal(other.sync(w.path("a")), w.path("a"))
    equal(other.get(w.path("a"))[0], b"new")


# --- sequences ----------------------------------------------------------------------------------


@fact
def sequence_numbers_have_ten_digits_and_start_at_zero(w):
    for number in range(3):
        path = w.zk.create(w.path("n-"), sequence=True)
        equal(path, w.path("n-%010d" % number))


@fact
def sequence_numbers_are_not_used_again_after_deletes(w):
    first = w.zk.create(w.path("n-"), sequence=True)
    w.zk.delete(first)
    second = w.zk.create(w.path("n-"), sequence=True)
    w.zk.delete(second)
    equal(w.zk.create(w.path("n-"), sequence=True), w.path("n-0000000002"))


@fact
def every_child_of_the_parent_counts_in_its_sequence(w):
    w.zk.create(w.path("plain"))
    w.zk.create(w.path("other-"), sequence=True)
    equal(w.zk.create(w.path("n-"), sequence=True), w.path("n-0000000002"))


@fact
def a_sequence_may_have_no_prefix_at_all(w):
    equal(w.zk.create(w.base + "/", sequence=True), w.path("0000000000"))


@fact
def a_sequential_create_with_stat_returns_the_real_name(w):
    path, stat = w.zk.create(w.path("n-"), b"x", sequence=True, include_data=True)
    equal(path, w.path("n-0000000000"))
    equal(stat, w.zk.exists(path))


@fact
def contenders_for_a_sequence_get_distinct_numbers(w):
    clients = [w.client() for _ in range(3)]
    pending = [c.create_async(w.path("n-"), sequence=True) for _ in range(20) for c in clients]
    names = sorted(p.get(timeout=WAIT_SECONDS) for p in pending)
    equal(names, [w.path("n-%010d" % number) for number in range(60)])


# --- ephemerals ---------------------------------------------------------------------------------


@fact
def an_ephemeral_belongs_to_the_session_that_created_it(w):
    other = w.client()
    other.create(w.path("a"), ephemeral=True)
    w.zk.sync(w.base)
    equal(w.zk.exists(w.path("a")).ephemeralOwner, other.client_id[0])


@fact
def ephemerals_vanish_when_their_session_closes(w):
    other = w.client()
    other.create(w.path("a"), ephemeral=True)
    other.create(w.path("b-"), ephemeral=True, sequence=True)
    other.create(w.path("stays"))
    other.stop()
    w.zk.sync(w.base)
    equal(w.zk.get_children(w.base), ["stays"])


@fact
def an_ephemeral_cannot_have_children(w):
    w.zk.create(w.path("a"), ephemeral=True)
    fails_with(NoChildrenForEphemeralsError, w.zk.create, w.path("a", "b"))
    w.zk.delete(w.path("a"))


@fact
def an_ephemeral_may_be_deleted_by_another_session(w):
    other = w.client()
    other.create(w.path("a"), ephemeral=True)
    w.zk.delete(w.path("a"))
    other.sync(w.base)
    equal(other.exists(w.path("a")), None)


@fact
def ephemerals_outlive_a_dropped_connection(w):
    relay = w.relay()
    other = w.client(via=relay)
    other.create(w.path("a"), ephemeral=True)
    session, mark = other.client_id, other.states.mark()
    relay.cut()
    reconnected(other, mark)
    equal(other.client_id, session)
    w.zk.sync(w.base)
    equal(w.zk.exists(w.path("a")).ephemeralOwner, session[0])


# --- watches ------------------------------------------------------------------------------------


@fact
def a_data_watch_fires_once_when_data_changes(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get(w.path("a"), watch=events)
    w.zk.set(w.path("a"), b"1")
    w.zk.set(w.path("a"), b"2")
    settle(w.zk)
    equal(events.all(), [(EventType.CHANGED, w.path("a"))])


@fact
def a_data_watch_fires_once_when_its_node_is_deleted(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get(w.path("a"), watch=events)
    w.zk.delete(w.path("a"))
    w.zk.create(w.path("a"))
    settle(w.zk)
    equal(events.all(), [(EventType.DELETED, w.path("a"))])


@fact
def an_exists_watch_on_a_missing_node_fires_once_when_it_is_created(w):
    events = Events()
    equal(w.zk.exists(w.path("a"), watch=events), None)
    w.zk.create(w.path("a"))
    w.zk.set(w.path("a"), b"1")
    settle(w.zk)
    equal(events.all(), [(EventType.CREATED, w.path("a"))])


@fact
def an_exists_watch_on_a_node_fires_when_it_changes_or_goes(w):
    changed, deleted = Events(), Events()
    for name, events in (("a", changed), ("b", deleted)):
        w.zk.create(w.path(name))
        assert w.zk.exists(w.path(name), watch=events)
    w.zk.set(w.path("a"), b"1")
    w.zk.delete(w.path("b"))
    settle(w.zk)
    equal(changed.all(), [(EventType.CHANGED, w.path("a"))])
    equal(deleted.all(), [(EventType.DELETED, w.path("b"))])


@fact
def a_get_of_a_missing_node_leaves_no_watch(w):
    events = Events()
    fails_with(NoNodeError, w.zk.get, w.path("a"), watch=events)
    w.zk.create(w.path("a"))
    settle(w.zk)
    equal(events.all(), [])


@fact
def a_children_watch_fires_once_when_a_child_comes(w):
    events = Events()
    w.zk.get_children(w.base, watch=events)
    w.zk.create(w.path("a"))
    w.zk.create(w.path("b"))
    settle(w.zk)
    equal(events.all(), [(EventType.CHILD, w.base)])


@fact
def a_children_watch_fires_once_when_a_child_goes(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get_children(w.base, watch=events)
    w.zk.delete(w.path("a"))
    settle(w.zk)
    equal(events.all(), [(EventType.CHILD, w.base)])


@fact
def a_children_watch_fires_when_its_own_node_is_deleted(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get_children(w.path("a"), watch=events)
    w.zk.delete(w.path("a"))
    settle(w.zk)
    equal(events.all(), [(EventType.DELETED, w.path("a"))])


@fact
def a_children_watch_ignores_data_and_grandchildren(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get_children(w.base, watch=events)
    w.zk.set(w.base, b"1")
    w.zk.set(w.path("a"), b"1")
    w.zk.create(w.path("a", "b"))
    settle(w.zk)
    equal(events.all(), [])
    w.zk.delete(w.path("a", "b"))
    w.zk.delete(w.path("a"))
    settle(w.zk)
    equal(events.all(), [(EventType.CHILD, w.base)])


@fact
def a_data_watch_ignores_children_and_acls(w):
    events = Events()
    w.zk.get(w.base, watch=events)
    w.zk.create(w.path("a"))
    w.zk.set_acls(w.base, OPEN_ACL_UNSAFE)
    settle(w.zk)
    equal(events.all(), [])


@fact
def data_and_children_watches_share_one_deletion_event(w):
    data, children = Events(), Events()
    w.zk.create(w.path("a"))
    w.zk.get(w.path("a"), watch=data)
    w.zk.get_children(w.path("a"), watch=children)
    w.zk.delete(w.path("a"))
    settle(w.zk)
    equal(data.all() + children.all(), 2 * [(EventType.DELETED, w.path("a"))])


@fact
def failed_operations_fire_no_watch(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get(w.path("a"), watch=events)
    w.zk.get_children(w.base, watch=events)
    fails_with(BadVersionError, w.zk.set, w.path("a"), b"x", version=7)
    fails_with(NodeExistsError, w.zk.create, w.path("a"))
    fails_with(BadVersionError, w.zk.delete, w.path("a"), version=7)
    settle(w.zk)
    equal(events.all(), [])


@fact
def watches_of_several_clients_all_fire(w):
    w.zk.create(w.path("a"))
    watchers = [(w.client(), Events()) for _ in range(3)]
    for client, events in watchers:
        client.get(w.path("a"), watch=events)
    w.zk.set(w.path("a"), b"1")
    for client, events in watchers:
        equal(events.next(), (EventType.CHANGED, w.path("a")))
        settle(client)
        equal(events.all(), [])


@fact
def the_end_of_a_session_fires_the_watches_on_its_ephemerals(w):
    data, children = Events(), Events()
    other = w.client()
    other.create(w.path("a"), ephemeral=True)
    w.zk.sync(w.base)
    w.zk.get(w.path("a"), watch=data)
    w.zk.get_children(w.base, watch=children)
    other.stop()
    equal(data.next(), (EventType.DELETED, w.path("a")))
    equal(children.next(), (EventType.CHILD, w.base))


@fact
def a_data_watch_recipe_goes_on_after_a_dropped_connection(w):
    relay, seen = w.relay(), queue.Queue()
    client = w.client(via=relay)
    w.zk.create(w.path("a"), b"one")
    client.DataWatch(w.path("a"), lambda data, _stat: seen.put(data))
    equal(seen.get(timeout=WAIT_SECONDS), b"one")
    mark = client.states.mark()
    relay.refuse()
    client.states.wait_for(KazooState.SUSPENDED, mark)
    w.zk.set(w.path("a"), b"two")
    relay.allow()
    equal(seen.get(timeout=WAIT_SECONDS), b"two")
    w.zk.set(w.path("a"), b"three")
    equal(seen.get(timeout=WAIT_SECONDS), b"three")


@fact
def a_children_watch_recipe_goes_on_after_a_dropped_connection(w):
    relay, seen = w.relay(), queue.Queue()
    client = w.client(via=relay)
    client.ChildrenWatch(w.base, lambda children: seen.put(sorted(children)))
    equal(seen.get(timeout=WAIT_SECONDS), [])
    mark = client.states.mark()
    relay.refuse()
    client.states.wait_for(KazooState.SUSPENDED, mark)
    w.zk.create(w.path("a"))
    relay.allow()
    equal(seen.get(timeout=WAIT_SECONDS), ["a"])
    w.zk.create(w.path("b"))
    equal(seen.get(timeout=WAIT_SECONDS), ["a", "b"])


def arm_again(client, since_zxid, events, data=(), exist=(), child=()):
    """Does for kazoo what other clients do after a reconnect: asks for all watches again."""
    for path in (*data, *exist):
        client._data_watchers[client.chroot + path].add(events)
    for path in child:
        client._child_watchers[client.chroot + path].add(events)
    full = [[client.chroot + path for path in paths] for paths in (data, exist, child)]
    done = client.handler.async_result()
    client._call(SetWatches(since_zxid, *full), done)
    done.get(timeout=WAIT_SECONDS)
    settle(client)


@fact
def set_watches_reports_what_was_missed_and_arms_the_rest(w):
    relay, events = w.relay(), Events()
    client = w.client(via=relay)
    for name in ("changed", "deleted", "same", "parent", "quiet"):
        w.zk.create(w.path(name))
    client.sync("/")
    client.exists(w.base)
    since, mark = client.last_zxid, client.states.mark()
    relay.refuse()
    client.states.wait_for(KazooState.SUSPENDED, mark)
    w.zk.set(w.path("changed"), b"x")
    w.zk.delete(w.path("deleted"))
    w.zk.create(w.path("created"))
    w.zk.create(w.path("parent", "child"))
    relay.allow()
    client.states.wait_for(KazooState.CONNECTED, mark)
    arm_again(
        client,
        since,
        events,
        data=[w.path("changed"), w.path("deleted"), w.path("same")],
        exist=[w.path("created"), w.path("absent")],
        child=[w.path("parent"), w.path("quiet")],
    )
    missed = [
        (EventType.CHANGED, w.path("changed")),
        (EventType.CHILD, w.path("parent")),
        (EventType.CREATED, w.path("created")),
        (EventType.DELETED, w.path("deleted")),
    ]
    equal(sorted(events.all()), sorted(missed))
    w.zk.set(w.path("changed"), b"y")
    w.zk.set(w.path("same"), b"y")
    w.zk.create(w.path("absent"))
    w.zk.create(w.path("quiet", "child"))
    settle(client)
    later = [
        (EventType.CHANGED, w.path("same")),
        (EventType.CREATED, w.path("absent")),
        (EventType.CHILD, w.path("quiet")),
    ]
    equal(events.all(), later)


# --- transactions -------------------------------------------------------------------------------


@fact
def a_transaction_applies_everything_at_one_zxid(w):
    w.zk.create(w.path("old"))
    w.zk.create(w.path("doomed"))
    transaction = w.zk.transaction()
    transaction.create(w.path("new"), b"1")
    transaction.set_data(w.path("old"), b"2")
    transaction.delete(w.path("doomed"))
    transaction.check(w.path("old"), 1)
    created, stat, deleted, checked = transaction.commit()
    equal((created, deleted, checked), (w.path("new"), True, True))
    equal(stat.mzxid, w.zk.exists(w.path("new")).czxid)
    equal(w.zk.exists(w.base).pzxid, stat.mzxid)
    equal(sorted(w.zk.get_children(w.base)), ["new", "old"])


@fact
def a_failed_transaction_names_the_culprit_and_changes_nothing(w):
    w.zk.create(w.path("a"), b"before")
    old = w.zk.exists(w.base)
    transaction = w.zk.transaction()
    transaction.create(w.path("new"))
    transaction.set_data(w.path("a"), b"after")
    transaction.set_data(w.path("a"), b"after", version=9)
    transaction.delete(w.path("a"))
    results = transaction.commit()
    expected = [RolledBackError, RolledBackError, BadVersionError, RuntimeInconsistency]
    equal([type(result) for result in results], expected)
    equal(w.zk.exists(w.base), old)
    equal(w.zk.get(w.path("a"))[0], b"before")


@fact
def a_check_guards_a_transaction(w):
    w.zk.create(w.path("guard"))
    for version, expected in ((5, BadVersionError), (0, None)):
        transaction = w.zk.transaction()
        transaction.check(w.path("guard"), version)
        transaction.create(w.path("a"))
        results = transaction.commit()
        if expected:
            equal([type(result) for result in results], [expected, RuntimeInconsistency])
            equal(w.zk.exists(w.path("a")), None)
        else:
            equal(results, [True, w.path("a")])


@fact
def a_check_of_a_missing_node_fails_the_transaction(w):
    transaction = w.zk.transaction()
    transaction.check(w.path("missing"), -1)
    equal([type(result) for result in transaction.commit()], [NoNodeError])


@fact
def later_operations_of_a_transaction_see_the_earlier_ones(w):
    transaction = w.zk.transaction()
    transaction.create(w.path("a"))
    transaction.create(w.path("a", "b-"), sequence=True)
    transaction.create(w.path("a", "b-"), sequence=True)
    transaction.set_data(w.path("a"), b"x", version=0)
    transaction.delete(w.path("a", "b-0000000000"))
    results = transaction.commit()
    equal(results[1:3], [w.path("a", "b-0000000000"), w.path("a", "b-0000000001")])
    equal(w.zk.get_children(w.path("a")), ["b-0000000001"])


@fact
def a_failed_transaction_uses_up_no_sequence_number(w):
    transaction = w.zk.transaction()
    transaction.create(w.path("n-"), sequence=True)
    transaction.delete(w.path("missing"))
    equal([type(result) for result in transaction.commit()], [RolledBackError, NoNodeError])
    equal(w.zk.create(w.path("n-"), sequence=True), w.path("n-0000000000"))


@fact
def a_failed_transaction_fires_no_watch_and_a_good_one_fires_all(w):
    events = Events()
    w.zk.create(w.path("a"))
    w.zk.get(w.path("a"), watch=events)
    w.zk.exists(w.path("b"), watch=events)
    for version in (5, 1):
        transaction = w.zk.transaction()
        transaction.set_data(w.path("a"), b"x")
        transaction.create(w.path("b"))
        transaction.check(w.path("a"), version)
        transaction.commit()
        settle(w.zk)
        if version == 5:
            equal(events.all(), [])
    equal(events.all(), [(EventType.CHANGED, w.path("a")), (EventType.CREATED, w.path("b"))])


@fact
def ephemerals_made_in_a_transaction_belong_to_its_session(w):
    other = w.client()
    transaction = other.transaction()
    transaction.create(w.path("a"), ephemeral=True)
    transaction.create(w.path("b"))
    transaction.commit()
    w.zk.sync(w.base)
    equal(w.zk.exists(w.path("a")).ephemeralOwner, other.client_id[0])
    other.stop()
    w.zk.sync(w.base)
    equal(w.zk.get_children(w.base), ["b"])


@fact
def an_empty_transaction_succeeds(w):
    equal(w.zk.transaction().commit(), [])


# --- access control -----------------------------------------------------------------------------

ALICE = make_digest_acl("alice", "wonder", all=True)


def alice(w):
    client = w.client()
    client.add_auth("digest", "alice:wonder")
    return client


@fact
def a_node_is_open_to_everybody_by_default(w):
    w.zk.create(w.path("a"))
    acls, stat = w.zk.get_acls(w.path("a"))
    equal(acls, [ACL(31, Id("world", "anyone"))])
    equal(stat, w.zk.exists(w.path("a")))


@fact
def a_session_without_the_credentials_is_denied(w):
    owner = alice(w)
    owner.create(w.path("a"), b"secret", acl=[ALICE])
    owner.create(w.path("a", "b"), acl=[ALICE])
    w.zk.sync(w.base)
    for refused in (
        lambda: w.zk.get(w.path("a")),
        lambda: w.zk.set(w.path("a"), b"x"),
        lambda: w.zk.get_children(w.path("a")),
        lambda: w.zk.get_acls(w.path("a")),
        lambda: w.zk.set_acls(w.path("a"), OPEN_ACL_UNSAFE),
        lambda: w.zk.create(w.path("a", "c")),
        lambda: w.zk.delete(w.path("a", "b")),
    ):
        fails_with(NoAuthError, refused)
    equal(owner.get(w.path("a"))[0], b"secret")
    owner.delete(w.path("a"), recursive=True)


@fact
def credentials_may_be_added_later_and_then_count(w):
    owner, other = alice(w), w.client()
    owner.create(w.path("a"), b"secret", acl=[ALICE])
    other.sync(w.base)
    fails_with(NoAuthError, other.get, w.path("a"))
    other.add_auth("digest", "alice:wrong")
    fails_with(NoAuthError, other.get, w.path("a"))
    other.add_auth("digest", "alice:wonder")
    equal(other.get(w.path("a"))[0], b"secret")


@fact
def credentials_are_sent_again_after_a_dropped_connection(w):
    relay = w.relay()
    client = w.client(via=relay, auth_data=[("digest", "alice:wonder")])
    client.create(w.path("a"), b"secret", acl=[ALICE])
    mark = client.states.mark()
    relay.cut()
    reconnected(client, mark)
    equal(client.retry(client.get, w.path("a"))[0], b"secret")


@fact
def creator_all_names_the_digest_of_whoever_creates(w):
    owner = alice(w)
    owner.create(w.path("a"), acl=CREATOR_ALL_ACL)
    equal(owner.get_acls(w.path("a"))[0], [ALICE])
    fails_with(InvalidACLError, w.zk.create, w.path("b"), acl=CREATOR_ALL_ACL)


@fact
def a_read_only_acl_lets_read_and_nothing_more(w):
    w.zk.create(w.path("a"), b"x", acl=READ_ACL_UNSAFE)
    equal(w.zk.get(w.path("a"))[0], b"x")
    equal(w.zk.get_children(w.path("a")), [])
    fails_with(NoAuthError, w.zk.set, w.path("a"), b"y")
    fails_with(NoAuthError, w.zk.create, w.path("a", "b"))
    fails_with(NoAuthError, w.zk.set_acls, w.path("a"), OPEN_ACL_UNSAFE)


@fact
def delete_asks_the_parents_acl_and_not_the_nodes(w):
    w.zk.create(w.path("a"), acl=[make_digest_acl("alice", "wonder", read=True)])
    w.zk.delete(w.path("a"))
    equal(w.zk.exists(w.path("a")), None)


@fact
def set_acls_raises_aversion_and_checks_it(w):
    w.zk.create(w.path("a"), b"x")
    old = w.zk.exists(w.path("a"))
    new = w.zk.set_acls(w.path("a"), [*OPEN_ACL_UNSAFE, ALICE], version=0)
    equal(new, old._replace(aversion=1))
    fails_with(BadVersionError, w.zk.set_acls, w.path("a"), OPEN_ACL_UNSAFE, version=0)
    equal(w.zk.get_acls(w.path("a"))[0], [*OPEN_ACL_UNSAFE, ALICE])


@fact
def digests_are_hidden_from_those_who_may_only_read(w):
    owner = alice(w)
    owner.create(w.path("a"), acl=[ALICE, *READ_ACL_UNSAFE])
    hidden = ACL(31, Id("digest", "alice:x"))
    w.zk.sync(w.base)
    equal(w.zk.get_acls(w.path("a"))[0], [hidden, *READ_ACL_UNSAFE])
    equal(owner.get_acls(w.path("a"))[0], [ALICE, *READ_ACL_UNSAFE])


@fact
def an_acl_of_an_unknown_scheme_is_invalid(w):
    fails_with(InvalidACLError, w.zk.create, w.path("a"), acl=[ACL(31, Id("nonsense", "x"))])
    equal(w.zk.get_children(w.base), [])


@fact
def an_unknown_authentication_scheme_fails_the_client(w):
    client = w.client()
    fails_with(AuthFailedError, client.add_auth, "nonsense", "x")
    client.states.wait_for(KazooState.LOST)


@fact
def everybody_on_this_machine_matches_its_address(w):
    w.zk.create(w.path("a"), b"x", acl=[ACL(31, Id("ip", "127.0.0.1"))])
    w.zk.create(w.path("b"), b"x", acl=[ACL(31, Id("ip", "127.0.0.0/8"))])
    w.zk.create(w.path("c"), b"x", acl=[ACL(31, Id("ip", "10.0.0.1"))])
    equal((w.zk.get(w.path("a"))[0], w.zk.get(w.path("b"))[0]), (b"x", b"x"))
    fails_with(NoAuthError, w.zk.get, w.path("c"))


# --- chroot -------------------------------------------------------------------------------------


@fact
def a_chrooted_client_sees_its_own_root(w):
    inner = w.client(chroot=w.zk.chroot + w.base)
    equal(inner.create("/a", b"x"), "/a")
    equal(inner.create("/n-", sequence=True), "/n-0000000001")
    equal(w.zk.get(w.path("a"))[0], b"x")
    equal(sorted(inner.get_children("/")), ["a", "n-0000000001"])
    equal(inner.exists("/"), w.zk.exists(w.base))


@fact
def events_of_a_chrooted_client_carry_its_own_paths(w):
    inner, events = w.client(chroot=w.zk.chroot + w.base), Events()
    inner.exists("/a", watch=events)
    inner.get_children("/", watch=events)
    w.zk.create(w.path("a"))
    settle(inner)
    equal(events.all(), [(EventType.CREATED, "/a"), (EventType.CHILD, "/")])


@fact
def transactions_of_a_chrooted_client_carry_its_own_paths(w):
    inner = w.client(chroot=w.zk.chroot + w.base)
    transaction = inner.transaction()
    transaction.create("/a")
    transaction.set_data("/a", b"x")
    equal(transaction.commit()[0], "/a")
    equal(w.zk.get(w.path("a"))[0], b"x")


# --- sessions -----------------------------------------------------------------------------------


@fact
def every_session_has_its_own_id_and_a_password(w):
    one, two = w.client().client_id, w.client().client_id
    assert one[0] != two[0] and one[0] != 0
    equal((len(one[1]), len(two[1])), (16, 16))
    assert one[1] != two[1]


@fact
def a_session_is_resumed_with_its_id_and_password(w):
    relay = w.relay()
    first = w.client(via=relay)
    first.create(w.path("a"), ephemeral=True)
    session = first.client_id
    relay.refuse()
    second = w.client(client_id=session)
    equal(second.client_id, session)
    equal(second.exists(w.path("a")).ephemeralOwner, session[0])
    second.stop()
    equal(w.zk.exists(w.path("a")), None)


@fact
def a_resumed_session_has_its_old_connection_closed(w):
    relay = w.relay()
    first = w.client(via=relay)
    session, mark = first.client_id, first.states.mark()
    relay.refuse_newcomers()
    second = w.client(client_id=session)
    equal(second.client_id, session)
    # Nobody but the server has ended the old connection.
    first.states.wait_for(KazooState.SUSPENDED, mark)
    assert second.exists("/")


@fact
def a_wrong_password_gets_a_new_session_and_harms_nobody(w):
    owner = w.client()
    owner.create(w.path("a"), ephemeral=True)
    session = owner.client_id
    thief = w.client(client_id=(session[0], b"x" * 16))
    assert thief.client_id[0] != session[0]
    thief.stop()
    # Apache ZooKeeper drops the owner's connection before it looks at the password: the owner has
    # to come back, but it comes back to the same session.
    eventually(lambda: owner.client_id == session)
    equal(owner.retry(owner.exists, w.path("a")).ephemeralOwner, session[0])


@fact
def an_unknown_session_cannot_be_resumed(w):
    closed = w.client()
    session = closed.client_id
    closed.stop()
    late = w.client(client_id=session)
    assert late.client_id[0] != session[0]


@fact
def a_session_closed_by_another_connection_is_lost(w):
    relay = w.relay()
    first = w.client(via=relay)
    session, mark = first.client_id, first.states.mark()
    relay.refuse()
    w.client(client_id=session).stop()
    relay.allow()
    first.states.wait_for(KazooState.LOST, mark)
    first.states.wait_for(KazooState.CONNECTED, first.states.mark() - 1)
    assert first.client_id[0] != session[0]


@fact
def a_silent_client_loses_its_session_and_its_ephemerals(w):
    relay = w.relay()
    client = w.client(timeout=SHORT_SESSION_SECONDS, via=relay)
    client.create(w.path("a"), ephemeral=True)
    session, mark = client.client_id, client.states.mark()
    relay.stall()
    client.states.wait_for(KazooState.SUSPENDED, mark)
    wait_until_gone(w.zk, w.path("a"))
    relay.allow()
    client.states.wait_for(KazooState.LOST, mark)
    eventually(lambda: client.client_id and client.client_id[0] != session[0])


@fact
def a_session_does_not_expire_before_its_timeout(w):
    relay = w.relay()
    client = w.client(timeout=SHORT_SESSION_SECONDS, via=relay)
    client.create(w.path("a"), ephemeral=True)
    last_heard = time.monotonic()
    client.exists(w.path("a"))
    relay.refuse()
    wait_until_gone(w.zk, w.path("a"))
    took = time.monotonic() - last_heard
    assert took >= SHORT_SESSION_SECONDS, "gone after %.3f s" % took


@fact
def pings_keep_an_idle_session_alive(w):
    client = w.client(timeout=SHORT_SESSION_SECONDS)
    client.create(w.path("a"), ephemeral=True)
    session, mark = client.client_id, client.states.mark()
    time.sleep(2.5 * SHORT_SESSION_SECONDS)
    equal(client.states.mark(), mark)
    equal(w.zk.exists(w.path("a")).ephemeralOwner, session[0])


# --- recipes ------------------------------------------------------------------------------------


@fact
def a_lock_is_handed_over_when_released(w):
    one, two = w.client(), w.client()
    first, second = one.Lock(w.base, "one"), two.Lock(w.base, "two")
    assert first.acquire()
    waiting = Task(second.acquire)
    eventually(lambda: len(w.zk.get_children(w.base)) == 2)
    equal(first.contenders(), ["one", "two"])
    assert waiting.running()
    first.release()
    equal(waiting.result(), True)
    second.release()
    equal(w.zk.get_children(w.base), [])


@fact
def a_lock_is_handed_over_when_its_holders_session_expires(w):
    relay = w.relay()
    holder, heir = w.client(timeout=SHORT_SESSION_SECONDS, via=relay), w.client()
    assert holder.Lock(w.base).acquire()
    waiting = Task(heir.Lock(w.base).acquire)
    eventually(lambda: len(w.zk.get_children(w.base)) == 2)
    assert waiting.running()
    relay.refuse()
    equal(waiting.result(), True)


@fact
def a_held_lock_is_not_acquired_without_waiting(w):
    one, two = w.client(), w.client()
    held = one.Lock(w.base)
    assert held.acquire()
    equal(two.Lock(w.base).acquire(blocking=False), False)
    fails_with(LockTimeout, two.Lock(w.base).acquire, timeout=0.2)
    equal(len(w.zk.get_children(w.base)), 1)
    held.release()
    equal(two.Lock(w.base).acquire(blocking=False), True)


@fact
def many_contenders_never_hold_a_lock_together(w):
    holders, most = [], []

    def contend(client, name):
        for _ in range(5):
            with client.Lock(w.base, name):
                holders.append(name)
                most.append(len(holders))
                holders.remove(name)

    tasks = [Task(contend, w.client(), "c%d" % number) for number in range(4)]
    for task in tasks:
        task.result()
    equal((len(most), max(most)), (20, 1))


@fact
def readers_share_a_lock_and_writers_do_not(w):
    one, two, three = w.client(), w.client(), w.client()
    readers = [one.ReadLock(w.base), two.ReadLock(w.base)]
    for reader in readers:
        equal(reader.acquire(blocking=False), True)
    writer = Task(three.WriteLock(w.base).acquire)
    eventually(lambda: len(w.zk.get_children(w.base)) == 3)
    for reader in readers:
        assert writer.running()
        reader.release()
    equal(writer.result(), True)
    equal(one.ReadLock(w.base).acquire(blocking=False), False)


@fact
def a_semaphore_lets_in_as_many_as_it_has_leases(w):
    clients = [w.client() for _ in range(3)]
    places = [client.Semaphore(w.path("s"), max_leases=2) for client in clients]
    equal([place.acquire(blocking=False) for place in places], [True, True, False])
    waiting = Task(places[2].acquire)
    places[0].release()
    equal(waiting.result(), True)


@fact
def an_election_has_one_leader_after_another(w):
    led, done = [], threading.Event()
    one, two = w.client(), w.client()

    def lead(name):
        led.append(name)
        if name == "one":
            assert done.wait(WAIT_SECONDS)

    first = Task(one.Election(w.base, "one").run, lead, "one")
    eventually(lambda: led == ["one"])
    second = Task(two.Election(w.base, "two").run, lead, "two")
    eventually(lambda: one.Election(w.base).contenders() == ["one", "two"])
    equal(led, ["one"])
    done.set()
    first.result()
    second.result()
    equal(led, ["one", "two"])


@fact
def a_barrier_holds_until_it_is_removed(w):
    barrier = w.zk.Barrier(w.path("b"))
    barrier.create()
    waiting = Task(w.client().Barrier(w.path("b")).wait, WAIT_SECONDS)
    equal(w.client().Barrier(w.path("b")).wait(0.05), False)
    assert waiting.running()
    equal(barrier.remove(), True)
    equal(waiting.result(), True)


@fact
def a_double_barrier_lets_all_in_and_out_together(w):
    one, two = (w.client().DoubleBarrier(w.path("b"), 2, name) for name in ("one", "two"))
    first = Task(one.enter)
    eventually(lambda: w.zk.exists(w.path("b")) and w.zk.get_children(w.path("b")))
    assert first.running()
    two.enter()
    first.result()
    equal((one.participating, two.participating), (True, True))
    leaving = [Task(one.leave), Task(two.leave)]
    for task in leaving:
        task.result()
    equal(w.zk.get_children(w.path("b")), [])


@fact
def a_counter_loses_no_increment_of_two_clients(w):
    def count(client):
        counter = client.Counter(w.path("c"))
        for _ in range(10):
            counter += 1

    tasks = [Task(count, w.client()), Task(count, w.client())]
    for task in tasks:
        task.result()
    equal(w.zk.Counter(w.path("c")).value, 20)


@fact
def a_queue_gives_its_items_back_by_priority_and_age(w):
    q = w.zk.Queue(w.path("q"))
    for item, priority in ((b"b", 100), (b"c", 100), (b"a", 1)):
        q.put(item, priority)
    equal(len(q), 3)
    equal([q.get(), q.get(), q.get(), q.get()], [b"a", b"b", b"c", None])


@fact
def a_locking_queue_gives_an_item_to_one_consumer_at_a_time(w):
    one, two = (w.client().LockingQueue(w.path("q")) for _ in range(2))
    one.put_all([b"a", b"b"])
    equal((one.get(WAIT_SECONDS), two.get(WAIT_SECONDS)), (b"a", b"b"))
    equal(one.release(), True)
    equal(two.consume(), True)
    equal(two.get(WAIT_SECONDS), b"a")
    equal(two.consume(), True)
    equal(len(two), 0)


@fact
def a_party_knows_its_members(w):
    one, two = w.client(), w.client()
    members = [one.Party(w.path("p"), "one"), two.Party(w.path("p"), "two")]
    for member in members:
        member.join()
    one.sync(w.base)
    equal(sorted(members[0]), ["one", "two"])
    members[0].leave()
    two.sync(w.base)
    equal((list(members[1]), len(members[1])), (["two"], 1))
    two.stop()
    w.zk.sync(w.base)
    equal(len(w.zk.Party(w.path("p"))), 0)


@fact
def a_lease_is_given_to_one_holder(w):
    hour = datetime.timedelta(hours=1)
    equal(bool(w.zk.NonBlockingLease(w.path("l"), hour, "one")), True)
    equal(bool(w.client().NonBlockingLease(w.path("l"), hour, "two")), False)
    equal(bool(w.client().NonBlockingLease(w.path("l"), hour, "one")), True)


@fact
def a_tree_cache_follows_the_tree(w):
    w.zk.create(w.path("a"), b"one")
    initialized, updated = threading.Event(), threading.Event()
    cache = TreeCache(w.client(), w.base)

    def listen(event):
        if event.event_type == TreeEvent.INITIALIZED:
            initialized.set()
        if event.event_type == TreeEvent.NODE_UPDATED and event.event_data.data == b"two":
            updated.set()

    cache.listen(listen)
    cache.start()
    assert initialized.wait(WAIT_SECONDS)
    equal(cache.get_data(w.path("a")).data, b"one")
    w.zk.set(w.path("a"), b"two")
    assert updated.wait(WAIT_SECONDS)
    equal(cache.get_data(w.path("a")).data, b"two")
    cache.close()


# --- four-letter words --------------------------------------------------------------------------


@fact
@needs_4lw
def ruok_is_answered_with_imok(w):
    equal(w.zk.command(b"ruok"), "imok")


@fact
@needs_4lw
def srvr_tells_version_and_mode(w):
    answer = w.zk.command(b"srvr")
    assert answer.startswith("Zookeeper version: "), answer
    for line in ("Latency min/avg/max: ", "Zxid: 0x", "Mode: ", "Node count: "):
        assert "\n" + line in answer, answer


# --- the runner ---------------------------------------------------------------------------------


def overrun(_signal, _frame):
    raise TimeoutError("still running after %s s" % FACT_SECONDS_MAX)


def attempt(step):
    """Runs a step within the time limit; returns what went wrong, or None."""
    signal.alarm(FACT_SECONDS_MAX)
    try:
        step()
    except Exception as error:
        return error
    finally:
        signal.alarm(0)


def check(world, number, function):
    """Runs one fact and prints its line; true when it holds."""
    chroot = "" if hasattr(function, "ignores_chroot") else world.chroot
    started = time.monotonic()
    broken = attempt(lambda: (world.begin(number, chroot), function(world)))
    untidy = attempt(world.end)
    trouble = broken or untidy
    took = time.monotonic() - started
    if trouble is None:
        print("ok   %7.3fs  %s" % (took, function.__name__), flush=True)
        return True
    reason = "%s: %s" % (type(trouble).__name__, str(trouble).split("\n")[0])
    print("FAIL %7.3fs  %s: %s" % (took, function.__name__, reason), flush=True)
    traceback.print_exception(trouble)
    return False


def check_under_blows(world, number, function, blows):
    """Runs one fact until it holds, or fails without a blow to blame."""
    if not blows:
        return check(world, number, function)
    for trial in range(TRIALS_MAX):
        before = os.path.getsize(blows)
        if check(world, number + len(FACTS) * trial, function):
            return True
        # An odd length: a blow has begun and not ended.
        if os.path.getsize(blows) == before and before % 2 == 0:
            return False
    return False


def run(facts, world, skip_4lw, blows):
    passed = failed = 0
    for number, function in enumerate(facts):
        if skip_4lw and hasattr(function, "needs_4lw"):
            print("skip            %s: --no-4lw" % function.__name__)
        elif check_under_blows(world, number, function, blows):
            passed += 1
        else:
            failed += 1
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("connect", nargs="?", help="connect string, such as 127.0.0.1:2181")
    parser.add_argument("--chroot", default="", help="run every client below this path")
    parser.add_argument("--no-4lw", action="store_true", help="skip four-letter words")
    parser.add_argument("--only", default="", help="run the facts whose name contains this text")
    parser.add_argument("--blows", help="a file that grows when a server is killed, and is back")
    parser.add_argument("--list", action="store_true", help="name the facts and do nothing")
    options = parser.parse_args()

    facts = [function for function in FACTS if options.only in function.__name__]
    if options.list:
        print("\n".join(function.__name__ for function in facts))
        return 0
    if not options.connect:
        parser.error("a connect string is needed")

    # Lost connections are the point of many facts; kazoo's warnings about them are noise.
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGALRM, overrun)
    world = World(options.connect, options.chroot.rstrip("/"))
    passed, failed = run(facts, world, options.no_4lw, options.blows)
    untidy = attempt(world.close)
    if untidy:
        traceback.print_exception(untidy)
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
