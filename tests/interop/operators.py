#!/usr/bin/env python3
"""Whether two servers tell operators the same things.

    operators.py commands CONNECT ADMIN CONNECT ADMIN
    operators.py metrics METRICS METRICS
    operators.py snapshot CONNECT ADMIN CONNECT ADMIN

`commands` opens a session on each of two servers, does the same on both, and compares what every
command of their admin servers tells: its names, and of what kind each value is. `metrics` compares
the names and kinds of the figures that both have for Prometheus. The first of each pair is the one
that is right. `snapshot` has the second one's admin server take a snapshot, and the first one
restore it. One line is printed for each difference, and a last line `N passed, N failed`.
"""

import json
import re
import sys
import urllib.error
import urllib.request

from kazoo.client import KazooClient

# What Java's virtual machine says of itself.
OF_JAVA = re.compile(r"^(jvm_|process_)")
# Commands of Apache's server that ours does not have.
NOT_OURS = {"restore"}
# What a command tells there is the machine's, not the server's.
OF_THE_MACHINE = {"system_properties", "initial_configuration"}
# Names that are data: sessions, times, paths.
DATA = re.compile(r"^(\d+|/.*)$")
# What is counted for each top-level node, which our server does not do.
PER_NAMESPACE = re.compile(r"_per_namespace( .*)?$")


def get(url):
    """The status and the body of what is at a URL."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def shape(value):
    """A value with its names, but with kinds in the place of numbers and texts."""
    if isinstance(value, dict):
        named = {("*" if DATA.match(name) else name): part for name, part in value.items()}
        named = {name: part for name, part in named.items() if not PER_NAMESPACE.search(name)}
        return {name: shape(part) for name, part in named.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return "number"
    return "text"


def session(connect):
    """A session that has left something of everything that is told."""
    client = KazooClient(connect)
    client.start()
    client.create("/operators", b"x", ephemeral=True)
    client.get("/operators", watch=lambda event: None)
    client.exists("/nobody", watch=lambda event: None)
    return client


def commands(admin):
    """The shape of what each command tells."""
    status, links = get(f"http://{admin}/commands")
    assert status == 200, links
    names = sorted(set(re.findall(r">([a-z_]+)</a>", links)) - NOT_OURS)
    told = {"commands": names}
    for name in names + ["nothing", "set_trace_mask?traceMask=1", "set_trace_mask?traceMask=x"]:
        status, body = get(f"http://{admin}/commands/{name}")
        told[name] = (status, shape({}) if name in OF_THE_MACHINE else shape(json.loads(body)))
    return told


def metrics(address):
    """The kind of each figure."""
    status, text = get(f"http://{address}/metrics")
    assert status == 200, text
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    samples = re.findall(r"^([a-z_]+)(?:\{quantile=\"([0-9.]+)\",?\})? (\S+)$", text, re.MULTILINE)
    told = {}
    for name, quantile, value in samples:
        float(value)
        base = re.sub(r"_(count|sum)$", "", name)
        kind = kinds.get(name) or kinds.get(base)
        told[f"{name} {quantile}"] = kind
    return {
        name: kind
        for name, kind in told.items()
        if not OF_JAVA.match(name) and not PER_NAMESPACE.search(name)
    }


def difference(right, ours):
    """What differs between two shapes, without what they have in common."""
    if isinstance(right, tuple) and isinstance(ours, tuple) and right[0] == ours[0]:
        right, ours = right[1], ours[1]
    if isinstance(right, dict) and isinstance(ours, dict):
        names = [name for name in {**right, **ours} if right.get(name) != ours.get(name)]
        right = {name: right[name] for name in names if name in right}
        ours = {name: ours[name] for name in names if name in ours}
    return f"\n  should be {right}\n  and is    {ours}"


def compare(right, ours):
    """Prints what differs, and how much."""
    failed = 0
    for name in sorted(set(right) | set(ours)):
        if right.get(name) != ours.get(name):
            failed += 1
            print(f"{name}: {difference(right.get(name), ours.get(name))}")
    print(f"{len(set(right) | set(ours)) - failed} passed, {failed} failed")
    return failed == 0


def snapshot(their_connect, their_admin, our_connect, our_admin):
    """What of our tree is on their server once that has restored our snapshot."""
    headers = {"Authorization": "digest super:secret"}
    ours = KazooClient(our_connect)
    ours.start()
    kept = {f"/kept/{number}": f"value {number}".encode() for number in range(50)}
    for path, value in kept.items():
        ours.create(path, value, makepath=True)
    ours.stop()
    taken = urllib.request.Request(f"http://{our_admin}/commands/snapshot", headers=headers)
    with urllib.request.urlopen(taken, timeout=10) as answer:
        body, zxid = answer.read(), answer.headers["last_zxid"]
    restore = urllib.request.Request(
        f"http://{their_admin}/commands/restore", headers=headers, data=body, method="POST"
    )
    with urllib.request.urlopen(restore, timeout=10) as answer:
        told = json.load(answer)
    theirs = KazooClient(their_connect)
    theirs.start()
    found = {path: theirs.get(path)[0] for path in kept}
    theirs.stop()
    return compare({**kept, "zxid": int(zxid, 16)}, {**found, "zxid": told["last_zxid"]})


def main(arguments):
    """Does what the command line says."""
    if arguments[:1] == ["commands"] and len(arguments) == 5:
        sessions = [session(connect) for connect in arguments[1::2]]
        same = compare(*(commands(admin) for admin in arguments[2::2]))
        for client in sessions:
            client.stop()
    elif arguments[:1] == ["snapshot"] and len(arguments) == 5:
        same = snapshot(*arguments[1:])
    elif arguments[:1] == ["metrics"] and len(arguments) == 3:
        same = compare(*(metrics(address) for address in arguments[1:]))
    else:
        sys.exit(__doc__)
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
