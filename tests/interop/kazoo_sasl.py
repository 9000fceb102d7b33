#!/usr/bin/env python3
"""Facts about a server that knows bob by SASL, checked from the outside with kazoo and pure-sasl.

    kazoo_sasl.py CONNECT

The server has one login, `bob` with the password `secret`, and answers nobody without one. One line
is printed for each fact, and a last line `N passed, N failed`.
"""

import logging
import sys
import threading

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import NoAuthError
from kazoo.security import make_acl

SECONDS_MAX = 10


def client(connect, user="bob", password="secret"):
    """A client that has not started."""
    options = {"mechanism": "DIGEST-MD5", "username": user, "password": password}
    return KazooClient(connect, sasl_options=options if user else None, timeout=SECONDS_MAX)


def who_knows_the_password_may_ask_and_is_named_by_lists(connect):
    bob = client(connect)
    bob.start(timeout=SECONDS_MAX)
    try:
        bob.create("/of-bob", b"1", acl=[make_acl("sasl", "bob", all=True)])
        assert bob.get("/of-bob")[0] == b"1"
        bob.create("/of-ann", b"1", acl=[make_acl("sasl", "ann", all=True)])
        try:
            bob.get("/of-ann")
            raise AssertionError("bob read what is ann's")
        except NoAuthError:
            pass
    finally:
        bob.stop()


def who_has_lost_its_connection_proves_itself_again(connect):
    bob = client(connect)
    bob.start(timeout=SECONDS_MAX)
    again = bob.handler.event_object()
    states = []

    def listen(state):
        states.append(state)
        if state == KazooState.CONNECTED:
            again.set()

    bob.add_listener(listen)
    try:
        bob.create("/mine", b"1", acl=[make_acl("sasl", "bob", all=True)])
        bob._connection._socket.shutdown(2)
        again.wait(SECONDS_MAX)
        assert again.is_set(), states
        assert bob.retry(bob.get, "/mine")[0] == b"1"
    finally:
        bob.stop()


def who_does_not_know_the_password_is_refused(connect):
    for user, password in (("bob", "wrong"), ("ann", "secret")):
        check_refused(client(connect, user, password))


def who_does_not_try_is_refused(connect):
    check_refused(client(connect, None))


def check_refused(stranger):
    """Checks that a client gets nothing; by what error, depends on when kazoo hears of it."""
    answered = False
    try:
        stranger.start(timeout=SECONDS_MAX)
        stranger.get("/")
        answered = True
    except Exception as error:
        assert "Error" in type(error).__name__ or "Loss" in type(error).__name__, repr(error)
    finally:
        stranger.stop()
    assert not answered, "somebody was let in"


FACTS = (
    who_knows_the_password_may_ask_and_is_named_by_lists,
    who_has_lost_its_connection_proves_itself_again,
    who_does_not_know_the_password_is_refused,
    who_does_not_try_is_refused,
)


def main(arguments):
    """Checks every fact."""
    if len(arguments) != 1:
        sys.exit(__doc__)
    logging.basicConfig(level=logging.CRITICAL)
    # kazoo's own thread ends with the refusal.
    threading.excepthook = lambda _: None
    failed = 0
    for fact in FACTS:
        name = fact.__name__.replace("_", " ")
        try:
            fact(arguments[0])
            print(f"ok      {name}")
        except Exception as error:
            failed += 1
            print(f"FAILED  {name}: {error!r}")
    print(f"{len(FACTS) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
