#!/usr/bin/env python3
"""Records, byte for byte, how a ZooKeeper server answers each request of the client protocol.

    capture.py CONNECT [--output FILE]

It speaks to a freshly started Apache ZooKeeper over a plain socket and writes `golden.txt`, next
to this file unless told otherwise. To make that file anew, from the root of the project:

    tests/wire/capture.py "$(tests/interop/zookeeper.sh start /tmp/zk)"
    tests/interop/zookeeper.sh stop /tmp/zk

The point of it is independence: this program shares no line with our own codec, so that an error
in the codec cannot hide by being made twice. Requests are composed here with `struct`; every
frame, in both directions, is decoded here again into the comment that stands above it.

Each case is a function below; its docstring is the headline of its block. It states which error
code it expects (none, unless it says so), so that a server that answers otherwise is noticed while
recording. The recording is made in one fixed order on an untouched server, so that even the
transaction ids are the same every time; session ids, passwords and times are not.
"""

import argparse
import os
import socket
import struct
import sys

WAIT_SECONDS = 5
SESSION_TIMEOUT_MS = 30_000

NOTIFICATION, CREATE, DELETE, EXISTS, GET_DATA, SET_DATA = range(6)
GET_ACL, SET_ACL, GET_CHILDREN, SYNC = range(6, 10)
PING, GET_CHILDREN2, CHECK, MULTI, CREATE2, RECONFIG = range(11, 17)
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, DELETE_CONTAINER = range(17, 21)
CREATE_TTL, MULTI_READ = 21, 22
AUTH, SET_WATCHES, SASL, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = range(100, 105)
SET_WATCHES2, ADD_WATCH, WHO_AM_I = range(105, 108)
CREATE_SESSION, CLOSE_SESSION, ERROR = -10, -11, -1

OP_NAMES = {
    value: name.lower()
    for name, value in list(globals().items())
    if isinstance(value, int) and name not in ("WAIT_SECONDS", "SESSION_TIMEOUT_MS")
}

XID_NOTIFICATION, XID_PING, XID_AUTH, XID_SET_WATCHES = -1, -2, -4, -8

OK = 0
MARSHALLING_ERROR, UNIMPLEMENTED, BAD_ARGUMENTS = -5, -6, -8
NO_NODE, NO_AUTH, BAD_VERSION, NO_CHILDREN_FOR_EPHEMERALS = -101, -102, -103, -108
NODE_EXISTS, NOT_EMPTY, INVALID_ACL, AUTH_FAILED, NO_WATCHER = -110, -111, -114, -115, -121

PERSISTENT, EPHEMERAL, PERSISTENT_SEQUENTIAL, EPHEMERAL_SEQUENTIAL = range(4)
CONTAINER, TTL, TTL_SEQUENTIAL = range(4, 7)

WATCH_PERSISTENT, WATCH_RECURSIVE = 0, 1

OPEN = [(31, "world", "anyone")]
READ_ONLY = [(1, "world", "anyone")]
# The digest of alice:wonder, as `digest` ACLs hold it.
ALICE = [(31, "digest", "alice:8y0lhh/7xkdEiwhX7vo9i+/Nmzc=")]

NO_PASSWORD = bytes(16)

# --- composing ----------------------------------------------------------------------------------


def int32(value):
    return struct.pack(">i", value)


def int64(value):
    return struct.pack(">q", value)


def boolean(value):
    return b"\x01" if value else b"\x00"


def buffer(value):
    return int32(-1) if value is None else int32(len(value)) + value


def string(value):
    return buffer(None if value is None else value.encode("utf-8"))


def vector(items, item):
    return int32(-1) if items is None else int32(len(items)) + b"".join(map(item, items))


def acl(entries):
    return vector(entries, lambda entry: int32(entry[0]) + string(entry[1]) + string(entry[2]))


def create(path, data=b"", entries=OPEN, flags=PERSISTENT):
    return string(path) + buffer(data) + acl(entries) + int32(flags)


def create_ttl(path, ttl, flags=TTL):
    return create(path, b"", OPEN, flags) + int64(ttl)


def versioned(path, version=-1):
    """The body of delete and of check."""
    return string(path) + int32(version)


def watched(path, watch=False):
    """The body of exists, get_data, get_children and get_children2."""
    return string(path) + boolean(watch)


def set_data(path, data, version=-1):
    return string(path) + buffer(data) + int32(version)


def set_acl(path, entries, version=-1):
    return string(path) + acl(entries) + int32(version)


def typed(path, number):
    """The body of check_watches, remove_watches and add_watch."""
    return string(path) + int32(number)


def auth(scheme, credentials):
    return int32(0) + string(scheme) + buffer(credentials)


def paths(*lists):
    return b"".join(vector(items, string) for items in lists)


def set_watches(zxid, data=(), exist=(), child=()):
    return int64(zxid) + paths(data, exist, child)


def set_watches2(zxid, data=(), exist=(), child=(), persistent=(), recursive=()):
    return set_watches(zxid, data, exist, child) + paths(persistent, recursive)


def multi(*operations):
    body = b"".join(multi_header(op) + record for op, record in operations)
    return body + multi_header(-1, done=True)


def multi_header(op, done=False):
    return int32(op) + boolean(done) + int32(-1)


def connect(
    session=0,
    password=NO_PASSWORD,
    timeout=SESSION_TIMEOUT_MS,
    zxid=0,
    version=0,
    read_only=b"\x00",
):
    head = int32(version) + int64(zxid) + int32(timeout) + int64(session)
    return head + buffer(password) + read_only


# --- decoding -----------------------------------------------------------------------------------


class Undecodable(Exception):
    """The bytes ended too early or make no sense."""


class Reader:
    """Takes a frame apart; the mirror of the functions above, for the comments."""

    def __init__(self, frame):
        self._frame = frame
        self._at = 0

    def take(self, count):
        if count < 0 or self._at + count > len(self._frame):
            raise Undecodable
        self._at += count
        return self._frame[self._at - count : self._at]

    def rest(self):
        return len(self._frame) - self._at

    def int32(self):
        return struct.unpack(">i", self.take(4))[0]

    def int64(self):
        return struct.unpack(">q", self.take(8))[0]

    def boolean(self):
        return self.take(1) != b"\x00"

    def buffer(self):
        length = self.int32()
        return None if length == -1 else self.take(length)

    def string(self):
        found = self.buffer()
        return None if found is None else found.decode("utf-8", "replace")

    def vector(self, item):
        count = self.int32()
        return None if count == -1 else [item() for _ in range(count)]

    def strings(self):
        return self.vector(self.string)

    def acl(self):
        return self.vector(lambda: (self.int32(), self.string(), self.string()))

    def stat(self):
        czxid, mzxid, ctime, mtime = (self.int64() for _ in range(4))
        version, cversion, aversion = (self.int32() for _ in range(3))
        owner, length, children, pzxid = self.int64(), self.int32(), self.int32(), self.int64()
        created = "%d %d %d +%d" % (czxid, mzxid, ctime, mtime - ctime)
        versions = "%d %d %d" % (version, cversion, aversion)
        return "(%s %s 0x%x %d %d %d)" % (created, versions, owner, length, children, pzxid)


def words(*parts):
    return " ".join(filter(None, parts))


def unless(default, name, value, show=str):
    """A field that is worth mentioning only if it is not as usual."""
    return "" if value == default else "%s=%s" % (name, show(value))


def show_data(value):
    if value is None:
        return "null"
    if all(0x20 <= byte < 0x7F and byte not in b'"\\' for byte in value):
        return '"%s"' % value.decode("ascii")
    return "0x" + value.hex()


def show_password(value):
    return "zero" if value == NO_PASSWORD else show_data(value)


def show_string(value):
    if value is None:
        return "null"
    plain = value.isprintable() and " " not in value and value
    return value if plain else '"%s"' % value.encode("unicode_escape").decode("ascii")


def show_strings(values):
    return "null" if values is None else "[%s]" % " ".join(map(show_string, values))


def show_acl(entries):
    if entries is None:
        return "null"
    if entries == OPEN:
        return "open"
    return "[%s]" % " ".join("%d:%s:%s" % entry for entry in entries)


def show_path(r):
    return show_string(r.string())


def show_create(r):
    path, data = show_path(r), unless(b"", "data", r.buffer(), show_data)
    return words(path, data, unless(OPEN, "acl", r.acl(), show_acl), unless(0, "flags", r.int32()))


def show_versioned(r):
    return words(show_path(r), unless(-1, "version", r.int32()))


def show_watched(r):
    return words(show_path(r), "watch" if r.boolean() else "")


def show_typed(r):
    return "%s type=%d" % (show_path(r), r.int32())


def show_set_data(r):
    return words(show_path(r), show_data(r.buffer()), unless(-1, "version", r.int32()))


def show_set_acl(r):
    return words(show_path(r), show_acl(r.acl()), unless(-1, "version", r.int32()))


def show_auth(r):
    return words(unless(0, "type", r.int32()), show_string(r.string()), show_data(r.buffer()))


def show_reconfig(r):
    lists = ["%s=%s" % (name, show_path(r)) for name in ("joining", "leaving", "members")]
    return words(*lists, "config=%d" % r.int64())


def show_watch_lists(r, *more):
    zxid = "since=%d" % r.int64()
    names = ("data", "exist", "child", *more)
    return words(zxid, *("%s=%s" % (name, show_strings(r.strings())) for name in names))


def show_multi_header_end(op, err):
    return "end" if (op, err) == (-1, -1) else "end(%d %d)" % (op, err)


def show_multi_request(r):
    shown = []
    while True:
        op, done, err = r.int32(), r.boolean(), r.int32()
        if done:
            return words(*shown, show_multi_header_end(op, err))
        assert err == -1
        shown.append("{%s}" % words(op_name(op), REQUESTS[op](r)))


REQUESTS = {
    CREATE: show_create,
    CREATE2: show_create,
    CREATE_CONTAINER: show_create,
    CREATE_TTL: lambda r: words(show_create(r), "ttl=%d" % r.int64()),
    DELETE: show_versioned,
    CHECK: show_versioned,
    EXISTS: show_watched,
    GET_DATA: show_watched,
    GET_CHILDREN: show_watched,
    GET_CHILDREN2: show_watched,
    SET_DATA: show_set_data,
    GET_ACL: show_path,
    SET_ACL: show_set_acl,
    SYNC: show_path,
    PING: lambda r: "",
    MULTI: show_multi_request,
    MULTI_READ: show_multi_request,
    RECONFIG: show_reconfig,
    CHECK_WATCHES: show_typed,
    REMOVE_WATCHES: show_typed,
    ADD_WATCH: lambda r: "%s mode=%d" % (show_path(r), r.int32()),
    DELETE_CONTAINER: lambda r: show_data(r.buffer()),
    AUTH: show_auth,
    SASL: lambda r: show_data(r.buffer()),
    SET_WATCHES: show_watch_lists,
    SET_WATCHES2: lambda r: show_watch_lists(r, "persistent", "recursive"),
    GET_EPHEMERALS: show_path,
    GET_ALL_CHILDREN_NUMBER: show_path,
    WHO_AM_I: lambda r: "",
    CREATE_SESSION: lambda r: "timeout=%d" % r.int32(),
    CLOSE_SESSION: lambda r: "",
}


def show_path_and_stat(r):
    return words(show_path(r), r.stat())


def show_ids(r):
    return "[%s]" % words(*r.vector(lambda: "%s:%s" % (r.string(), r.string())))


def show_multi_reply(r):
    shown = []
    while True:
        op, done, err = r.int32(), r.boolean(), r.int32()
        if done:
            return words(*shown, show_multi_header_end(op, err))
        if op == ERROR:
            assert err == r.int32(), "the two codes of an error result differ"
            shown.append("{error %d}" % err)
        else:
            assert err == 0
            shown.append("{%s}" % words(op_name(op), REPLIES[op](r)))


REPLIES = {
    CREATE: show_path,
    CREATE2: show_path_and_stat,
    CREATE_CONTAINER: show_path_and_stat,
    CREATE_TTL: show_path_and_stat,
    DELETE: lambda r: "",
    CHECK: lambda r: "",
    EXISTS: Reader.stat,
    GET_DATA: lambda r: words(show_data(r.buffer()), r.stat()),
    SET_DATA: Reader.stat,
    GET_ACL: lambda r: words(show_acl(r.acl()), r.stat()),
    SET_ACL: Reader.stat,
    GET_CHILDREN: lambda r: show_strings(r.strings()),
    GET_CHILDREN2: lambda r: words(show_strings(r.strings()), r.stat()),
    SYNC: show_path,
    MULTI: show_multi_reply,
    MULTI_READ: show_multi_reply,
    RECONFIG: lambda r: words(show_data(r.buffer()), r.stat()),
    SASL: lambda r: show_data(r.buffer()),
    GET_EPHEMERALS: lambda r: show_strings(r.strings()),
    GET_ALL_CHILDREN_NUMBER: lambda r: str(r.int32()),
    ADD_WATCH: lambda r: "result=%d" % r.int32(),
    WHO_AM_I: show_ids,
}
EVENT_NAMES = {1: "created", 2: "deleted", 3: "data_changed", 4: "children_changed"}


def op_name(op):
    return OP_NAMES.get(op, "opcode_%d" % op)


def more(reader):
    """Mentions the bytes that the record has left over."""
    return "and %d more bytes" % reader.rest() if reader.rest() else ""


def describe_request(frame, usual_xid):
    r, shown = Reader(frame), ""
    try:
        xid, op = r.int32(), r.int32()
        shown = words(op_name(op), unless(usual_xid, "xid", xid))
        record = REQUESTS[op](r) if op in REQUESTS else ""
    except (Undecodable, KeyError):
        return words(shown, "undecodable")
    return words(shown, record, more(r))


def describe_reply(frame, asked, usual_xid):
    """Decodes a reply; `asked` tells the operation for each xid on the connection."""
    r = Reader(frame)
    xid, zxid, err = r.int32(), r.int64(), r.int32()
    shown = words("@%d" % zxid, unless(0, "err", err))
    if xid == XID_NOTIFICATION:
        kind, state, path = EVENT_NAMES[r.int32()], r.int32(), show_path(r)
        return words(shown, "event", kind, path, unless(3, "state", state), more(r))
    shown = words(shown, unless(usual_xid, "xid", xid))
    return words(shown, REPLIES[asked[xid]](r) if r.rest() else "", more(r))


def describe_connect_request(frame):
    r = Reader(frame)
    try:
        version, zxid = unless(0, "version", r.int32()), unless(0, "zxid", r.int64())
        timeout, session = "timeout=%d" % r.int32(), "session=0x%x" % r.int64()
        password = "password=" + show_password(r.buffer())
        read_only = "read_only=%d" % r.boolean() if r.rest() else ""
    except Undecodable:
        return "connect undecodable"
    return words("connect", version, zxid, timeout, session, password, read_only, more(r))


def describe_connect_reply(frame):
    r = Reader(frame)
    version, timeout = unless(0, "version", r.int32()), "timeout=%d" % r.int32()
    session, password = "session=0x%x" % r.int64(), "password=" + show_password(r.buffer())
    read_only = "read_only=%d" % r.boolean() if r.rest() else ""
    return words("connected", version, timeout, session, password, read_only, more(r))


# --- recording ----------------------------------------------------------------------------------


class Link:
    """A TCP connection that speaks in frames."""

    def __init__(self, server):
        self._socket = socket.create_connection(server, WAIT_SECONDS)

    def send(self, *frames):
        self._socket.sendall(b"".join(int32(len(frame)) + frame for frame in frames))

    def receive(self):
        """The next frame, or None when the server has closed the connection."""
        try:
            head = self._exactly(4)
            return None if head is None else self._exactly(struct.unpack(">i", head)[0])
        except ConnectionResetError:
            return None

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                return None
            data += piece
        return data

    def close(self):
        self._socket.close()


class Case:
    """One block of the golden file in the making. An expected `err` of None means any."""

    def __init__(self, server, number, function):
        self.name = function.__name__
        self.path = "/%d" % number
        self.session = (0, NO_PASSWORD)
        self.zxid = 0
        self._server = server
        self._lines = ["[%s]" % self.name, "# " + " ".join(function.__doc__.split())]
        self._link = None
        self._xid = 0
        self._asked = {}
        self._leftover = []

    # The handshake.

    def open(self):
        """Starts a session of which nothing is recorded."""
        self._link = Link(self._server)
        self._link.send(connect())
        reply = self._link.receive()
        assert len(reply) == 37, reply
        self._leftover.append((struct.unpack(">q", reply[8:16])[0], reply[20:36]))

    def connect(self, frame, *pipelined):
        """Records a handshake on a new connection; true when the session stands."""
        self._link = Link(self._server)
        self._link.send(frame, *pipelined)
        self._write(">", frame, describe_connect_request(frame))
        for request in pipelined:
            self._write(">", request, describe_request(request, self._xid))
            self._asked[Reader(request).int32()] = struct.unpack(">i", request[4:8])[0]
        return self.await_connected()

    def await_connected(self):
        reply = self._link.receive()
        if reply is None:
            self._lines.append("= closed")
            return False
        self._write("<", reply, describe_connect_reply(reply))
        self.session = (struct.unpack(">q", reply[8:16])[0], reply[20:36])
        if self.session[0]:
            self._leftover.append(self.session)
        return self.session[0] != 0

    def hang_up(self):
        """Closes the connection, not the session."""
        self._link.close()
        self._lines.append("= hangup")

    # Requests.

    def call(self, op, body=b"", err=OK, xid=None):
        """Sends a request and records all that comes until its reply; returns the reply's body."""
        xid = self.send(op, body, xid)
        return self.await_reply(xid, err)

    def send(self, op, body=b"", xid=None):
        if xid is None:
            self._xid += 1
            xid = self._xid
        self.send_frame(int32(xid) + int32(op) + body)
        self._asked[xid] = op
        return xid

    def send_frame(self, frame):
        self._link.send(frame)
        self._write(">", frame, describe_request(frame, self._xid))

    def await_reply(self, xid, err=OK):
        while True:
            frame = self._record_frame()
            assert frame is not None, "%s: closed instead of a reply to %d" % (self.name, xid)
            r = Reader(frame)
            if r.int32() != xid:
                continue
            zxid, found = r.int64(), r.int32()
            assert err in (found, None), "%s: err %d, expected %d" % (self.name, found, err)
            self.zxid = max(self.zxid, zxid)
            return frame[16:]

    def await_close(self):
        while self._record_frame() is not None:
            pass
        self._lines.append("= closed")

    def _record_frame(self):
        frame = self._link.receive()
        if frame is not None:
            self._write("<", frame, describe_reply(frame, self._asked, self._xid))
        return frame

    def _write(self, direction, frame, description):
        self._lines.append("# " + description)
        self._lines.append("%s %s" % (direction, frame.hex()))

    # The end.

    def text(self):
        return "\n".join(self._lines) + "\n"

    def tidy(self):
        """Closes every session that the case has left, unrecorded and in a fixed order."""
        if self._link:
            self._link.close()
        for session, password in dict(self._leftover).items():
            link = Link(self._server)
            link.send(connect(session, password))
            if struct.unpack(">i", link.receive()[4:8])[0]:
                link.send(int32(1) + int32(CLOSE_SESSION))
                while link.receive() is not None:
                    pass
            link.close()


CASES = []


def case(function):
    """Adds a case that runs in a session whose handshake is not recorded."""
    function.handshake = False
    CASES.append(function)
    return function


def handshake_case(function):
    """Adds a case that records its handshakes itself."""
    function.handshake = True
    CASES.append(function)
    return function


# --- an untouched server ------------------------------------------------------------------------


@case
def fresh_tree(c):
    """The nodes of an untouched server: cversion of / is -1, aversion of the config node too."""
    for path in ("/", "/zookeeper"):
        c.call(GET_CHILDREN2, watched(path))
    c.call(GET_ACL, string("/zookeeper/config"))
    c.call(GET_DATA, watched("/zookeeper/config"))
    c.call(GET_ALL_CHILDREN_NUMBER, string("/"))


# --- handshakes ---------------------------------------------------------------------------------


@handshake_case
def handshake_new(c):
    """A new session, asked for with the read-only byte; the reply has that byte too."""
    assert c.connect(connect())


@handshake_case
def handshake_new_without_read_only_byte(c):
    """A client that sends no read-only byte gets none back."""
    assert c.connect(connect(read_only=b""))


@handshake_case
def handshake_new_read_only(c):
    """A client that would be content with a read-only server, at a server that writes."""
    assert c.connect(connect(read_only=b"\x01"))


@handshake_case
def handshake_new_null_password(c):
    """The password of a new session may be null."""
    assert c.connect(connect(password=None))


@handshake_case
def handshake_trailing_bytes(c):
    """Bytes after the read-only byte are ignored."""
    assert c.connect(connect(read_only=b"\x00\xaa\xbb"))


@handshake_case
def handshake_other_protocol_version(c):
    """The client's protocol version is ignored; the server always says 0."""
    assert c.connect(connect(version=7))


@handshake_case
def handshake_timeout_raised(c):
    """A timeout below minSessionTimeout (200 ms here) is raised to it."""
    assert c.connect(connect(timeout=1))


@handshake_case
def handshake_timeout_lowered(c):
    """A timeout above maxSessionTimeout (60 s here) is lowered to it."""
    assert c.connect(connect(timeout=2_000_000_000))


@handshake_case
def handshake_resume(c):
    """A session resumed on a new connection, with another timeout."""
    assert c.connect(connect())
    c.hang_up()
    assert c.connect(connect(*c.session, timeout=20_000))
    c.call(PING, xid=XID_PING)


@handshake_case
def handshake_wrong_password(c):
    """A wrong password: timeout 0, session 0, zero password, and the connection is closed."""
    assert c.connect(connect())
    c.hang_up()
    assert not c.connect(connect(c.session[0], b"x" * 16))
    c.await_close()


@handshake_case
def handshake_unknown_session(c):
    """A session that never was gets the same refusal as an expired one."""
    assert not c.connect(connect(0x0123456789ABCDEF, b"x" * 16))
    c.await_close()


@handshake_case
def handshake_refused_without_read_only_byte(c):
    """A refusal has no read-only byte either when the request had none."""
    assert not c.connect(connect(0x0123456789ABCDEF, b"x" * 16, read_only=b""))
    c.await_close()


@handshake_case
def handshake_resume_after_close(c):
    """A session that was closed cannot be resumed."""
    assert c.connect(connect())
    session = c.session
    c.call(CLOSE_SESSION)
    c.await_close()
    assert not c.connect(connect(*session))
    c.await_close()


@handshake_case
def handshake_zxid_from_the_future(c):
    """A client that has seen more than the server knows is turned away without a word."""
    assert not c.connect(connect(zxid=0x7FFFFFFF00000000))


@handshake_case
def handshake_truncated(c):
    """A connect request that ends within the session id is turned away without a word."""
    assert not c.connect(connect()[:20])


@handshake_case
def handshake_pipelined(c):
    """Requests sent along with the connect request are answered after its reply, in order."""
    exists = int32(1) + int32(EXISTS) + watched("/")
    ping = int32(XID_PING) + int32(PING)
    assert c.connect(connect(), exists, ping)
    c.await_reply(1)
    c.await_reply(XID_PING)


# --- ping, sync, closing ------------------------------------------------------------------------


@case
def ping(c):
    """A ping, alone and after a write: the reply carries the last zxid."""
    c.call(PING, xid=XID_PING)
    c.call(CREATE, create(c.path))
    c.call(PING, xid=XID_PING)


@case
def unusual_xids(c):
    """The server echoes any xid."""
    for xid in (0, -3, 0x7FFFFFFF, -0x80000000):
        c.call(SYNC, string("/"), xid=xid)


@case
def sync(c):
    """The path of a sync is echoed, whatever it is; no zxid is used up."""
    for path in ("/", "/no/such/node", "not a path", "", None):
        c.call(SYNC, string(path))


@case
def close_session(c):
    """The reply to closeSession comes before the end of the connection."""
    c.call(CLOSE_SESSION)
    c.await_close()


@case
def close_session_with_ephemerals_and_watches(c):
    """A session that watches its own ephemeral hears of its end before the reply."""
    c.call(CREATE, create(c.path, b"", OPEN, EPHEMERAL))
    c.call(GET_DATA, watched(c.path, True))
    c.call(CLOSE_SESSION)
    c.await_close()


# --- create -------------------------------------------------------------------------------------


@case
def create_persistent(c):
    """A node with data, read back with its stat; the parent's stat before and after."""
    c.call(EXISTS, watched("/"))
    c.call(CREATE, create(c.path, b"hello"))
    c.call(GET_DATA, watched(c.path))
    c.call(EXISTS, watched("/"))


@case
def create_null_and_empty_data(c):
    """Null data comes back as null (length -1), empty data as empty (length 0)."""
    c.call(CREATE, create(c.path, None))
    c.call(GET_DATA, watched(c.path))
    c.call(CREATE, create(c.path + "/empty", b""))
    c.call(GET_DATA, watched(c.path + "/empty"))


@case
def create_ephemeral(c):
    """The owner of an ephemeral is its session; it cannot have children."""
    c.call(CREATE, create(c.path, b"", OPEN, EPHEMERAL))
    c.call(EXISTS, watched(c.path))
    c.call(CREATE, create(c.path + "/a"), NO_CHILDREN_FOR_EPHEMERALS)


@case
def create_sequential(c):
    """Sequence numbers count every child ever created; a prefix may be empty."""
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/n-", b"", OPEN, PERSISTENT_SEQUENTIAL))
    c.call(CREATE, create(c.path + "/n-", b"", OPEN, EPHEMERAL_SEQUENTIAL))
    c.call(CREATE, create(c.path + "/plain"))
    c.call(DELETE, versioned(c.path + "/plain"))
    c.call(CREATE, create(c.path + "/", b"", OPEN, PERSISTENT_SEQUENTIAL))
    c.call(GET_CHILDREN, watched(c.path))


@case
def create_unicode(c):
    """Names outside ASCII, and bytes that are no text as data."""
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/grüße-世界", bytes([0, 255, 128])))
    c.call(GET_CHILDREN, watched(c.path))
    c.call(GET_DATA, watched(c.path + "/grüße-世界"))


@case
def create_node_exists(c):
    """A node that is there, the root among them."""
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path), NODE_EXISTS)
    c.call(CREATE, create("/"), NODE_EXISTS)


@case
def create_no_node(c):
    """A missing parent; so, too, is a name that ends with a slash."""
    c.call(CREATE, create(c.path + "/a"), NO_NODE)
    c.call(CREATE, create(c.path + "/"), NO_NODE)


@case
def create_bad_paths(c):
    """Paths that are none. The parent is looked up first, so NoNode may come first."""
    c.call(CREATE, create(c.path))
    for path in ("/..", "/a\x00", "/a\x01", "/\ue000", "/\U0001f600"):
        c.call(CREATE, create(c.path + path), BAD_ARGUMENTS)
    c.call(CREATE, create("no-slash"), BAD_ARGUMENTS)
    c.call(CREATE, create(""), BAD_ARGUMENTS)
    c.call(CREATE, create(c.path + "//a"), NO_NODE)
    c.call(CREATE, create(None), MARSHALLING_ERROR)


@case
def create_invalid_utf8(c):
    """Bytes that are no UTF-8 are replaced by U+FFFD, which no path may have."""
    c.call(CREATE, create(c.path))
    c.call(CREATE, buffer(c.path.encode() + b"/\xff\xfe") + create("")[4:], BAD_ARGUMENTS)


@case
def create_bad_flags(c):
    """Flags that mean nothing, and TTL flags without a TTL."""
    for flags in (7, -1, TTL):
        c.call(CREATE, create(c.path, b"", OPEN, flags), BAD_ARGUMENTS)


@case
def create_with_container_flag(c):
    """Flag 4 with the plain opcode makes an ordinary persistent node, not a container."""
    c.call(CREATE, create(c.path, b"", OPEN, CONTAINER))
    c.call(EXISTS, watched(c.path))


@case
def create_invalid_acl(c):
    """ACLs that are refused: null, empty, unknown scheme, bad ids, `auth` without credentials."""
    refused = (
        None,
        [],
        [(31, "nonsense", "x")],
        [(31, "digest", "no-colon")],
        [(31, "ip", "127.0.0.1/99")],
        [(31, "super", "super")],
        [(31, "auth", "")],
        [(31, "sasl", "alice")],
        [(31, None, "anyone")],
    )
    for entries in refused:
        c.call(CREATE, create(c.path, b"", entries), INVALID_ACL)


@case
def create_acl_with_null_id(c):
    """A null id with the world scheme is not an invalid ACL but an unexpected exception."""
    c.call(CREATE, create(c.path, b"", [(31, "world", None)]), MARSHALLING_ERROR)


@case
def create_acl_kept_as_sent(c):
    """Order is kept, exact duplicates go, and permission bits are not checked at all."""
    entries = [(1, "world", "anyone"), (31, "ip", "127.0.0.0/8"), (1, "world", "anyone")]
    c.call(CREATE, create(c.path, b"", [*entries, *ALICE, (1024, "ip", "::1"), (0, "ip", "::1")]))
    c.call(GET_ACL, string(c.path))


@case
def create_trailing_bytes(c):
    """Bytes after the record are ignored."""
    c.call(CREATE, create(c.path) + b"\xde\xad\xbe\xef")


@case
def create2(c):
    """create2 answers with the stat, also for an ephemeral with a sequence number."""
    c.call(CREATE2, create(c.path, b"hello"))
    c.call(CREATE2, create(c.path + "/n-", b"", OPEN, EPHEMERAL_SEQUENTIAL))
    c.call(CREATE2, create(c.path), NODE_EXISTS)


@case
def create_container(c):
    """A container answers as create2 does; its owner is 0 on the wire."""
    c.call(CREATE_CONTAINER, create(c.path, b"c", OPEN, CONTAINER))
    c.call(CREATE_CONTAINER, create(c.path, b"c", OPEN, CONTAINER), NODE_EXISTS)


@case
def create_container_with_other_flags(c):
    """The container opcode with the flags of another mode."""
    c.call(CREATE_CONTAINER, create(c.path, b"", OPEN, PERSISTENT))
    flags = EPHEMERAL_SEQUENTIAL
    c.call(CREATE_CONTAINER, create(c.path + "/n-", b"", OPEN, flags))


@case
def create_ttl_node(c):
    """A TTL node, and one with a sequence number; the owner is 0 on the wire."""
    c.call(CREATE_TTL, create_ttl(c.path, 3_600_000))
    c.call(CREATE_TTL, create_ttl(c.path + "/n-", 1, TTL_SEQUENTIAL))


@case
def create_ttl_out_of_range(c):
    """A TTL must be 1 to 2^40-1 milliseconds, and needs a TTL mode."""
    for ttl in (0, 0x10000000000):
        c.call(CREATE_TTL, create_ttl(c.path, ttl), BAD_ARGUMENTS)
    c.call(CREATE_TTL, create_ttl(c.path, 1000, PERSISTENT), BAD_ARGUMENTS)


# --- delete -------------------------------------------------------------------------------------


@case
def delete(c):
    """A delete with the right version; the parent's cversion goes up and its pzxid moves."""
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/a"))
    c.call(EXISTS, watched(c.path))
    c.call(DELETE, versioned(c.path + "/a", 0))
    c.call(EXISTS, watched(c.path))


@case
def delete_refused(c):
    """NoNode, BadVersion, NotEmpty; failures use up zxids as well."""
    c.call(DELETE, versioned(c.path), NO_NODE)
    c.call(DELETE, versioned(c.path + "/a/b"), NO_NODE)
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/a"))
    c.call(DELETE, versioned(c.path, 7), BAD_VERSION)
    c.call(DELETE, versioned(c.path), NOT_EMPTY)


@case
def delete_special(c):
    """Nodes that stand for ever, and paths that are none."""
    for path in ("/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config", "no-slash", ""):
        c.call(DELETE, versioned(path), BAD_ARGUMENTS)
    c.call(DELETE, versioned("//"), NO_NODE)


# --- reads and writes ---------------------------------------------------------------------------


@case
def exists(c):
    """A node that is there and one that is not; NUL in a path; the empty path is the root."""
    c.call(CREATE, create(c.path, b"12345"))
    c.call(EXISTS, watched(c.path))
    c.call(EXISTS, watched(c.path + "/a"), NO_NODE)
    c.call(EXISTS, watched(c.path + "/a\x00"), BAD_ARGUMENTS)
    c.call(EXISTS, watched(""))
    c.call(EXISTS, watched("no-slash"), NO_NODE)
    c.call(EXISTS, watched(None), MARSHALLING_ERROR)


@case
def get_data(c):
    """Data with its stat, and a missing node."""
    c.call(CREATE, create(c.path, b"\x00\x01\x02"))
    c.call(GET_DATA, watched(c.path))
    c.call(GET_DATA, watched(c.path + "/a"), NO_NODE)
    c.call(GET_DATA, watched(c.path + "/"), NO_NODE)


@case
def set_data_versions(c):
    """Versions go up by one; -1 matches any; a stale one is refused."""
    c.call(CREATE, create(c.path, b"0"))
    c.call(SET_DATA, set_data(c.path, b"one", 0))
    c.call(SET_DATA, set_data(c.path, b"two", 0), BAD_VERSION)
    c.call(SET_DATA, set_data(c.path, b"two", -1))
    c.call(SET_DATA, set_data(c.path, b"", -2), BAD_VERSION)


@case
def set_data_null(c):
    """Data may be set to null."""
    c.call(CREATE, create(c.path, b"0"))
    c.call(SET_DATA, set_data(c.path, None))
    c.call(GET_DATA, watched(c.path))


@case
def set_data_refused(c):
    """A missing node, and a path that is none."""
    c.call(SET_DATA, set_data(c.path, b""), NO_NODE)
    c.call(SET_DATA, set_data("/a//b", b""), BAD_ARGUMENTS)
    c.call(SET_DATA, set_data("/a/", b""), BAD_ARGUMENTS)


@case
def set_data_of_the_root(c):
    """The root is a node like any other; its mzxid and version show it."""
    c.call(SET_DATA, set_data("/", b"root"))
    c.call(SET_DATA, set_data("/", b""))


@case
def get_children(c):
    """The names of the children, without and with stat; none, some, and a missing node."""
    c.call(CREATE, create(c.path))
    c.call(GET_CHILDREN, watched(c.path))
    for name in ("c", "a", "b"):
        c.call(CREATE, create(c.path + "/" + name))
    c.call(GET_CHILDREN, watched(c.path))
    c.call(GET_CHILDREN2, watched(c.path))
    c.call(GET_CHILDREN, watched(c.path + "/x"), NO_NODE)


@case
def get_all_children_number(c):
    """All descendants are counted, not the node itself."""
    for name in ("", "/a", "/a/b", "/c"):
        c.call(CREATE, create(c.path + name))
    c.call(GET_ALL_CHILDREN_NUMBER, string(c.path))
    c.call(GET_ALL_CHILDREN_NUMBER, string(c.path + "/a/b"))
    c.call(GET_ALL_CHILDREN_NUMBER, string(c.path + "/x"), NO_NODE)


@case
def get_ephemerals(c):
    """This session's ephemerals below a prefix; the prefix is a string, not a path."""
    c.call(GET_EPHEMERALS, string("/"))
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/one", b"", OPEN, EPHEMERAL))
    c.call(CREATE, create(c.path + "/other"))
    for prefix in ("/", "", None, c.path + "/o", c.path + "/x", "no-slash"):
        c.call(GET_EPHEMERALS, string(prefix))


# --- access control -----------------------------------------------------------------------------


@case
def get_acl(c):
    """The ACL and the stat of a node; a missing node."""
    c.call(CREATE, create(c.path))
    c.call(GET_ACL, string(c.path))
    c.call(GET_ACL, string(c.path + "/a"), NO_NODE)


@case
def get_acl_redacted(c):
    """Without ADMIN the digests of others are hidden."""
    c.call(CREATE, create(c.path, b"", [*ALICE, *READ_ONLY]))
    c.call(GET_ACL, string(c.path))
    c.call(AUTH, auth("digest", b"alice:wonder"), xid=XID_AUTH)
    c.call(GET_ACL, string(c.path))


@case
def set_acl_versions(c):
    """aversion goes up by one and nothing else moves; a stale aversion is refused."""
    c.call(CREATE, create(c.path))
    c.call(SET_ACL, set_acl(c.path, [*OPEN, *ALICE], 0))
    c.call(SET_ACL, set_acl(c.path, OPEN, 0), BAD_VERSION)
    c.call(GET_ACL, string(c.path))


@case
def set_acl_refused(c):
    """A missing node, an invalid ACL (checked first), a path that is none."""
    c.call(SET_ACL, set_acl(c.path, OPEN), NO_NODE)
    c.call(SET_ACL, set_acl(c.path, []), INVALID_ACL)
    c.call(SET_ACL, set_acl(c.path, None), INVALID_ACL)
    c.call(SET_ACL, set_acl("/a/", OPEN), BAD_ARGUMENTS)


@case
def no_auth(c):
    """Every operation that an ACL can refuse, on a node of somebody else."""
    c.call(CREATE, create(c.path, b"secret", ALICE))
    for op in (EXISTS, GET_DATA, GET_CHILDREN, GET_CHILDREN2):
        c.call(op, watched(c.path), NO_AUTH)
    c.call(GET_ACL, string(c.path), NO_AUTH)
    c.call(GET_ALL_CHILDREN_NUMBER, string(c.path), NO_AUTH)
    c.call(SET_DATA, set_data(c.path, b""), NO_AUTH)
    c.call(SET_ACL, set_acl(c.path, OPEN), NO_AUTH)
    c.call(CREATE, create(c.path + "/a"), NO_AUTH)
    c.call(DELETE, versioned(c.path + "/a"), NO_AUTH)
    c.call(MULTI, multi((CHECK, versioned(c.path))))
    c.call(DELETE, versioned(c.path))


@case
def no_auth_comes_before_other_errors(c):
    """A node without permissions: the ACL is looked at before versions and children."""
    c.call(CREATE, create(c.path, b"", READ_ONLY))
    c.call(SET_DATA, set_data(c.path, b"", 9), NO_AUTH)
    c.call(SET_ACL, set_acl(c.path, OPEN, 9), NO_AUTH)
    c.call(CREATE, create(c.path + "/..", b""), NO_AUTH)


@case
def auth_digest(c):
    """Credentials count from the next request on; ids are collected. A wrong one does no harm."""
    c.call(CREATE, create(c.path, b"secret", ALICE))
    c.call(AUTH, auth("digest", b"alice:wrong"), xid=XID_AUTH)
    c.call(GET_CHILDREN, watched(c.path), NO_AUTH)
    c.call(AUTH, auth("digest", b"alice:wonder"), xid=XID_AUTH)
    c.call(GET_CHILDREN, watched(c.path))
    c.call(WHO_AM_I)


@case
def auth_scheme_in_acl(c):
    """The `auth` scheme stands for every authenticated id of the creator."""
    c.call(AUTH, auth("digest", b"alice:wonder"), xid=XID_AUTH)
    c.call(AUTH, auth("digest", b"bob:builder"), xid=XID_AUTH)
    c.call(CREATE, create(c.path, b"", [(31, "auth", "")]))
    c.call(GET_ACL, string(c.path))


@case
def auth_super(c):
    """The super user passes every ACL; in whoAmI its name is empty."""
    c.call(CREATE, create(c.path, b"secret", ALICE))
    c.call(AUTH, auth("digest", b"super:secret"), xid=XID_AUTH)
    c.call(GET_DATA, watched(c.path))
    c.call(WHO_AM_I)


@case
def auth_twice(c):
    """The same credentials twice give one id."""
    c.call(AUTH, auth("digest", b"alice:wonder"), xid=XID_AUTH)
    c.call(AUTH, auth("digest", b"alice:wonder"), xid=XID_AUTH)
    c.call(WHO_AM_I)


@case
def auth_unknown_scheme(c):
    """An unknown scheme: AuthFailed, and the connection is closed."""
    c.call(AUTH, auth("nonsense", b"x"), AUTH_FAILED, xid=XID_AUTH)
    c.await_close()


@case
def auth_digest_without_colon(c):
    """Digest credentials without a colon are taken as they are."""
    c.call(AUTH, auth("digest", b"nobody"), xid=XID_AUTH)
    c.call(WHO_AM_I)


@case
def auth_world(c):
    """The world scheme has no credentials."""
    c.call(AUTH, auth("world", b"anyone"), AUTH_FAILED, xid=XID_AUTH)
    c.await_close()


@case
def auth_ip(c):
    """The ip scheme takes no credentials from the client, and says yes."""
    c.call(AUTH, auth("ip", b"10.0.0.1"), xid=XID_AUTH)
    c.call(WHO_AM_I)


@case
def auth_with_a_normal_xid(c):
    """The reply to an auth packet has the xid that was sent."""
    c.call(AUTH, auth("digest", b"alice:wonder"), xid=77)


@case
def who_am_i(c):
    """An anonymous connection is known by its address alone."""
    c.call(WHO_AM_I)


@case
def sasl(c):
    """A server without SASL answers with a null token and no error."""
    c.call(SASL, buffer(b""))


# --- transactions -------------------------------------------------------------------------------


@case
def multi_success(c):
    """Every kind of operation in one transaction; all results share one zxid."""
    p = c.path
    c.call(
        MULTI,
        multi(
            (CREATE, create(p, b"1")),
            (CREATE, create(p + "/n-", b"", OPEN, EPHEMERAL_SEQUENTIAL)),
            (CREATE2, create(p + "/two", b"2")),
            (CREATE_CONTAINER, create(p + "/container", b"", OPEN, CONTAINER)),
            (CREATE_TTL, create_ttl(p + "/ttl", 60_000)),
            (SET_DATA, set_data(p, b"11", 0)),
            (CHECK, versioned(p, 1)),
            (DELETE, versioned(p + "/two", 0)),
        ),
    )
    c.call(GET_CHILDREN, watched(p))


@case
def multi_failed(c):
    """Header err 0; each result is an error: 0 before the culprit, -2 after it."""
    c.call(CREATE, create(c.path, b"0"))
    c.call(
        MULTI,
        multi(
            (CREATE, create(c.path + "/a")),
            (SET_DATA, set_data(c.path, b"1")),
            (SET_DATA, set_data(c.path, b"1", 9)),
            (DELETE, versioned(c.path)),
            (CHECK, versioned(c.path)),
        ),
    )
    c.call(GET_CHILDREN, watched(c.path))


@case
def multi_failed_uses_no_sequence_number(c):
    """What a failed transaction had prepared is forgotten, sequence numbers included."""
    c.call(CREATE, create(c.path))
    number = create(c.path + "/n-", b"", OPEN, PERSISTENT_SEQUENTIAL)
    c.call(MULTI, multi((CREATE, number), (DELETE, versioned(c.path + "/missing"))))
    c.call(MULTI, multi((CREATE, number)))


@case
def multi_empty(c):
    """An empty transaction succeeds and uses up a zxid."""
    c.call(MULTI, multi())
    c.call(PING, xid=XID_PING)


@case
def multi_check(c):
    """check is allowed here: right, wrong and any version, and a missing node."""
    c.call(CREATE, create(c.path))
    c.call(MULTI, multi((CHECK, versioned(c.path, 0)), (CHECK, versioned(c.path, -1))))
    c.call(MULTI, multi((CHECK, versioned(c.path, 1))))
    c.call(MULTI, multi((CHECK, versioned(c.path + "/a"))))


@case
def multi_create_flavours(c):
    """Within multi the flags decide: flag 4 makes a container, whatever the opcode says."""
    c.call(
        MULTI,
        multi(
            (CREATE, create(c.path, b"", OPEN, CONTAINER)),
            (CREATE2, create(c.path + "/a", b"", OPEN, CONTAINER)),
            (CREATE2, create(c.path + "/b", b"", OPEN, EPHEMERAL)),
        ),
    )


@case
def multi_undecodable(c):
    """Unknown flags, a null ACL list, and operations that have no place in a multi."""
    for operation in (
        (CREATE, create(c.path, b"", OPEN, 7)),
        (CREATE, create(c.path, b"", None)),
        (GET_DATA, watched("/")),
        (PING, b""),
        (9999, b""),
    ):
        c.call(MULTI, multi(operation), MARSHALLING_ERROR)


@case
def multi_without_end(c):
    """A transaction whose end is missing."""
    c.call(MULTI, multi_header(CREATE) + create(c.path), MARSHALLING_ERROR)
    c.call(EXISTS, watched(c.path), NO_NODE)


@case
def multi_read(c):
    """Each read succeeds or fails for itself; their watch flags are ignored."""
    c.call(CREATE, create(c.path, b"data"))
    c.call(CREATE, create(c.path + "/a"))
    c.call(
        MULTI_READ,
        multi(
            (GET_DATA, watched(c.path, True)),
            (GET_CHILDREN, watched(c.path, True)),
            (GET_DATA, watched(c.path + "/x")),
            (GET_CHILDREN, watched(c.path + "/x")),
            (GET_DATA, watched(c.path + "/a")),
        ),
    )
    c.call(CHECK_WATCHES, typed(c.path, 3), NO_WATCHER)


@case
def multi_read_empty(c):
    """No reads at all."""
    c.call(MULTI_READ, multi())


@case
def multi_read_with_a_write(c):
    """A write among the reads: MarshallingError, and yet a body."""
    c.call(MULTI_READ, multi((DELETE, versioned(c.path))), MARSHALLING_ERROR)
    c.call(
        MULTI_READ, multi((GET_DATA, watched("/")), (EXISTS, watched("/"))), MARSHALLING_ERROR
    )


# --- watches ------------------------------------------------------------------------------------


@case
def event_created(c):
    """exists on a missing node leaves a watch, though it fails; it fires once and is gone."""
    c.call(EXISTS, watched(c.path, True), NO_NODE)
    c.call(CHECK_WATCHES, typed(c.path, 2))
    c.call(CREATE, create(c.path))
    c.call(CHECK_WATCHES, typed(c.path, 3), NO_WATCHER)


@case
def event_deleted(c):
    """A deletion, seen by a watch of getData."""
    c.call(CREATE, create(c.path))
    c.call(GET_DATA, watched(c.path, True))
    c.call(DELETE, versioned(c.path))


@case
def event_data_changed(c):
    """A change of data, seen once; the event comes before the reply to the write."""
    c.call(CREATE, create(c.path))
    c.call(EXISTS, watched(c.path, True))
    c.call(SET_DATA, set_data(c.path, b"1"))
    c.call(CHECK_WATCHES, typed(c.path, 3), NO_WATCHER)


@case
def event_children_changed(c):
    """Children that come and go; both ways of listing leave the watch."""
    c.call(CREATE, create(c.path))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(CREATE, create(c.path + "/a"))
    c.call(GET_CHILDREN2, watched(c.path, True))
    c.call(DELETE, versioned(c.path + "/a"))
    c.call(CREATE, create(c.path + "/b"))


@case
def event_deleted_only_once(c):
    """Watches on data, children and both persistent kinds: still one deletion event."""
    c.call(CREATE, create(c.path))
    c.call(GET_DATA, watched(c.path, True))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(DELETE, versioned(c.path))


@case
def events_of_one_create(c):
    """One create may cause two events: first the node's, then its parent's."""
    c.call(CREATE, create(c.path))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(EXISTS, watched(c.path + "/a", True), NO_NODE)
    c.call(CREATE, create(c.path + "/a"))


@case
def events_of_one_delete(c):
    """One delete may cause two events: first the node's, then its parent's."""
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/a"))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(GET_DATA, watched(c.path + "/a", True))
    c.call(DELETE, versioned(c.path + "/a"))


@case
def events_of_one_multi(c):
    """The events of a transaction come in the order of its operations, all with one zxid."""
    c.call(CREATE, create(c.path))
    c.call(GET_DATA, watched(c.path, True))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(EXISTS, watched(c.path + "/a", True), NO_NODE)
    c.call(EXISTS, watched(c.path + "/b", True), NO_NODE)
    c.call(
        MULTI,
        multi(
            (CREATE, create(c.path + "/b")),
            (SET_DATA, set_data(c.path, b"1")),
            (CREATE, create(c.path + "/a")),
            (DELETE, versioned(c.path + "/a")),
        ),
    )


@case
def events_of_nothing(c):
    """Failed writes, sync and failed reads cause no event and leave no watch."""
    c.call(CREATE, create(c.path))
    c.call(GET_DATA, watched(c.path + "/a", True), NO_NODE)
    c.call(CREATE, create(c.path + "/a"))
    c.call(GET_DATA, watched(c.path, True))
    c.call(SET_DATA, set_data(c.path, b"1", 9), BAD_VERSION)
    c.call(SYNC, string(c.path))
    c.call(DELETE, versioned(c.path), NOT_EMPTY)
    failing = multi((SET_DATA, set_data(c.path, b"1")), (CHECK, versioned(c.path, 9)))
    c.call(MULTI, failing)


@case
def event_withheld_without_read(c):
    """Whoever may not read a new node does not hear of it, and the watch is used up."""
    c.call(EXISTS, watched(c.path, True), NO_NODE)
    c.call(CREATE, create(c.path, b"", ALICE))
    c.call(CHECK_WATCHES, typed(c.path, 3), NO_WATCHER)


@case
def add_watch_persistent(c):
    """It stays: created, data, children, deleted; grandchildren do not count."""
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(CREATE, create(c.path))
    c.call(SET_DATA, set_data(c.path, b"1"))
    c.call(CREATE, create(c.path + "/a"))
    c.call(CREATE, create(c.path + "/a/b"))
    c.call(DELETE, versioned(c.path + "/a/b"))
    c.call(DELETE, versioned(c.path + "/a"))
    c.call(DELETE, versioned(c.path))


@case
def add_watch_recursive(c):
    """The whole subtree, each node by its own path; never children_changed."""
    c.call(ADD_WATCH, typed(c.path, WATCH_RECURSIVE))
    c.call(CREATE, create(c.path))
    c.call(CREATE, create(c.path + "/a"))
    c.call(CREATE, create(c.path + "/a/b"))
    c.call(SET_DATA, set_data(c.path + "/a/b", b"1"))
    c.call(DELETE, versioned(c.path + "/a/b"))
    c.call(CREATE, create(c.path + "-sibling"))


@case
def add_watch_both_modes(c):
    """Both modes at one path: each event once, children_changed from the persistent one."""
    c.call(CREATE, create(c.path))
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(ADD_WATCH, typed(c.path, WATCH_RECURSIVE))
    c.call(SET_DATA, set_data(c.path, b"1"))
    c.call(CREATE, create(c.path + "/a"))
    c.call(DELETE, versioned(c.path + "/a"))


@case
def add_watch_and_one_shot(c):
    """A one-shot watch beside a persistent one on the same path adds no second event."""
    c.call(CREATE, create(c.path))
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(CREATE, create(c.path + "/a"))
    c.call(CREATE, create(c.path + "/b"))


@case
def add_watch_bad_mode(c):
    """Modes that are none."""
    c.call(ADD_WATCH, typed(c.path, 2), MARSHALLING_ERROR)
    c.call(ADD_WATCH, typed(c.path, -1), MARSHALLING_ERROR)


@case
def check_watches(c):
    """Types: 1 children, 2 data, 3 any, 4 persistent, 5 recursive. Nothing there: NoWatcher."""
    c.call(CREATE, create(c.path))
    for number in (3, 4):
        c.call(CHECK_WATCHES, typed(c.path, number), NO_WATCHER)
    c.call(GET_DATA, watched(c.path, True))
    c.call(CHECK_WATCHES, typed(c.path, 1), NO_WATCHER)
    c.call(CHECK_WATCHES, typed(c.path, 2))
    c.call(CHECK_WATCHES, typed(c.path, 3))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(CHECK_WATCHES, typed(c.path, 1))
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(CHECK_WATCHES, typed(c.path, 4))
    c.call(CHECK_WATCHES, typed(c.path, 5), NO_WATCHER)
    c.call(ADD_WATCH, typed(c.path, WATCH_RECURSIVE))
    c.call(CHECK_WATCHES, typed(c.path, 5))
    c.call(CHECK_WATCHES, typed(c.path, 6), MARSHALLING_ERROR)


@case
def remove_watches(c):
    """One kind after the other; what is gone is gone, and the rest still fires."""
    c.call(CREATE, create(c.path))
    c.call(REMOVE_WATCHES, typed(c.path, 3), NO_WATCHER)
    c.call(GET_DATA, watched(c.path, True))
    c.call(GET_CHILDREN, watched(c.path, True))
    c.call(REMOVE_WATCHES, typed(c.path, 2))
    c.call(REMOVE_WATCHES, typed(c.path, 2), NO_WATCHER)
    c.call(SET_DATA, set_data(c.path, b"1"))
    c.call(CREATE, create(c.path + "/a"))
    c.call(REMOVE_WATCHES, typed(c.path, 1), NO_WATCHER)
    c.call(REMOVE_WATCHES, typed(c.path, 0), MARSHALLING_ERROR)


@case
def remove_watches_persistent(c):
    """Persistent watches are removed by their own type, or by any."""
    c.call(CREATE, create(c.path))
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(REMOVE_WATCHES, typed(c.path, 2), NO_WATCHER)
    c.call(REMOVE_WATCHES, typed(c.path, 4))
    c.call(ADD_WATCH, typed(c.path, WATCH_RECURSIVE))
    c.call(REMOVE_WATCHES, typed(c.path, 4), NO_WATCHER)
    c.call(REMOVE_WATCHES, typed(c.path, 5))
    c.call(ADD_WATCH, typed(c.path, WATCH_PERSISTENT))
    c.call(ADD_WATCH, typed(c.path, WATCH_RECURSIVE))
    c.call(REMOVE_WATCHES, typed(c.path, 3))
    c.call(SET_DATA, set_data(c.path, b"1"))


@case
def set_watches_nothing_missed(c):
    """Watches that are armed again and then fire in the usual way."""
    c.call(CREATE, create(c.path))
    lists = ([c.path], [c.path + "/a"], [c.path])
    c.call(SET_WATCHES, set_watches(c.zxid, *lists), xid=XID_SET_WATCHES)
    c.call(SET_DATA, set_data(c.path, b"1"))
    c.call(CREATE, create(c.path + "/a"))


@case
def set_watches_all_missed(c):
    """All has changed since zxid 0: an event for each path, with zxid -1, and then the reply."""
    c.call(CREATE, create(c.path))
    data = [c.path, c.path + "/gone"]
    child = [c.path, c.path + "/gone-too"]
    c.call(SET_WATCHES, set_watches(0, data, [c.path], child), xid=XID_SET_WATCHES)
    c.call(CHECK_WATCHES, typed(c.path, 3), NO_WATCHER)


@case
def set_watches_with_a_normal_xid(c):
    """The reply has the xid that was sent; a Java client does it so."""
    c.call(SET_WATCHES, set_watches(c.zxid))


@case
def set_watches_null_lists(c):
    """Null lists are not taken for empty ones."""
    c.call(SET_WATCHES, set_watches(0, None, None, None), MARSHALLING_ERROR)


@case
def set_watches2_persistent(c):
    """Persistent watches are armed again, with no word of what was missed."""
    c.call(CREATE, create(c.path))
    body = set_watches2(0, [], [], [], [c.path], [c.path + "/a"])
    c.call(SET_WATCHES2, body, xid=XID_SET_WATCHES)
    c.call(SET_DATA, set_data(c.path, b"1"))
    c.call(CREATE, create(c.path + "/a"))
    c.call(CREATE, create(c.path + "/a/b"))


@case
def set_watches2_all_kinds(c):
    """One-shot watches in the same request are checked for what was missed."""
    c.call(CREATE, create(c.path))
    p = [c.path]
    c.call(SET_WATCHES2, set_watches2(0, p, p, p, p, p), xid=XID_SET_WATCHES)
    c.call(SET_DATA, set_data(c.path, b"1"))


# --- what a server must refuse ------------------------------------------------------------------


@case
def reconfig(c):
    """A standalone server cannot be reconfigured."""
    body = string("server.1=localhost:1:2:participant;3") + string(None) + string(None)
    c.call(RECONFIG, body + int64(-1), err=None)


@case
def check_outside_multi(c):
    """check alone is not an operation: Unimplemented, and the connection is closed."""
    c.call(CHECK, versioned("/"), UNIMPLEMENTED)
    c.await_close()


@case
def unknown_opcode(c):
    """An opcode that nobody has heard of: Unimplemented, and the connection is closed."""
    c.call(9999, b"", UNIMPLEMENTED)
    c.await_close()


@case
def opcode_notification(c):
    """Opcode 0 is not for clients."""
    c.call(NOTIFICATION, b"", UNIMPLEMENTED)
    c.await_close()


@case
def opcode_ten(c):
    """Opcode 10 has never been given out."""
    c.call(10, b"", UNIMPLEMENTED)
    c.await_close()


@case
def opcode_error(c):
    """Opcode -1 is for the log only."""
    c.call(ERROR, int32(-101), UNIMPLEMENTED)
    c.await_close()


@case
def truncated_record(c):
    """Records that end too early: MarshallingError, and the connection stays."""
    c.call(GET_DATA, int32(100) + b"/a", MARSHALLING_ERROR)
    c.call(CREATE, string(c.path), MARSHALLING_ERROR)
    c.call(SET_DATA, b"", MARSHALLING_ERROR)
    c.call(GET_CHILDREN, string("/"), MARSHALLING_ERROR)
    c.call(PING, xid=XID_PING)


@case
def unreasonable_lengths(c):
    """Lengths beyond any frame, or below zero."""
    c.call(GET_DATA, int32(0x7FFFFFFF), MARSHALLING_ERROR)
    c.call(GET_DATA, int32(-2), MARSHALLING_ERROR)
    c.call(CREATE, string(c.path) + buffer(b"") + int32(-2) + int32(0), err=None)
    c.call(CREATE, string(c.path) + buffer(b"") + int32(0x7FFFFFFF), MARSHALLING_ERROR)


@case
def frame_without_a_header(c):
    """A frame too short for xid and opcode: the connection is closed without a word."""
    c.send_frame(bytes(2))
    c.await_close()


@case
def delete_container_from_a_client(c):
    """The reaper's own operation, sent by a client. Apache ZooKeeper obeys; a server should not."""
    c.call(CREATE_CONTAINER, create(c.path, b"", ALICE, CONTAINER))
    c.call(DELETE_CONTAINER, buffer(c.path.encode()), err=None)
    c.call(EXISTS, watched(c.path), err=None)


@case
def create_session_from_a_client(c):
    """The server's own operation, sent by a client within its session."""
    c.send(CREATE_SESSION, int32(10_000))
    c.await_connected()
    c.call(PING, xid=XID_PING)


# --- the program --------------------------------------------------------------------------------

HEAD = """\
# What Apache ZooKeeper {version} answers, frame by frame.
# Made by capture.py; do not edit.
#
# A block is one case. A line beginning with > is a frame from the client, one with < a frame from
# the server: in hexadecimal, without the four bytes of length before it. "= closed" says that the
# server closed the connection, "= hangup" that the client did; what follows is a new connection.
# Above each frame stands what it says, decoded by capture.py:
#
#   operation path ...     a request; what is as usual is left out: the xid that counts from 1,
#                          empty data of create, ACL open (31:world:anyone), flags 0, version -1
#   @zxid err=code ...     a reply; err is left out where it is 0, and the xid as above
#   @zxid event kind path  a notification: xid -1; the state is left out where it is 3
#   (czxid mzxid ctime +mtime version cversion aversion owner dataLength numChildren pzxid)
#                          a stat; mtime is given as the milliseconds since ctime
#   {{...}} {{...}} end        the operations of a multi, or their results
#   connect, connected     the handshake; the password "zero" is sixteen zero bytes
#
# Cases named handshake_* begin each connection with the two frames of the handshake. Every other
# case runs in a fresh session with a timeout of 30 s whose handshake is left out. Session ids,
# passwords and times differ from one recording to the next; all else is the same every time.
"""


def four_letter_word(server, word):
    with socket.create_connection(server, WAIT_SECONDS) as link:
        link.sendall(word)
        answer = b""
        while piece := link.recv(4096):
            answer += piece
    return answer.decode("ascii", "replace")


def record(server, number, function):
    """Runs one case; returns its block and what, if anything, was not as expected."""
    c, surprise = Case(server, number, function), None
    try:
        if not function.handshake:
            c.open()
        function(c)
    except TimeoutError:
        surprise = "%s: no answer within %d s" % (c.name, WAIT_SECONDS)
    except AssertionError as error:
        surprise = str(error) or "%s: the handshake went otherwise" % c.name
    finally:
        c.tidy()
    return c.text(), surprise


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("connect", help="where an untouched Apache ZooKeeper listens, host:port")
    parser.add_argument("--output", default=os.path.join(here, "golden.txt"))
    options = parser.parse_args()

    host, port = options.connect.rsplit(":", 1)
    server = (host, int(port))
    status = four_letter_word(server, b"srvr")
    if "Zxid: 0x0\n" not in status:
        sys.exit("this server is not untouched; start a new one:\n" + status)
    version = status.removeprefix("Zookeeper version: ").split("-")[0]

    recorded = [record(server, number, function) for number, function in enumerate(CASES)]
    blocks = [HEAD.format(version=version), *(block for block, _ in recorded)]
    surprises = [surprise for _, surprise in recorded if surprise]
    with open(options.output, "w", encoding="utf-8") as output:
        output.write("\n".join(blocks))
    print("%d cases, %d bytes" % (len(recorded), os.path.getsize(options.output)))
    sys.exit("\n".join(["not as expected:", *surprises]) if surprises else 0)


if __name__ == "__main__":
    main()
