#!/usr/bin/env python3
"""Runs a suite of Rust's, test by test, while somebody kills the servers that it talks to.

    under_blows.py CONNECT BLOWS PROGRAM [--skip TEXT]...

PROGRAM is what cargo has built of the suite. Each test talks to one of the servers of CONNECT, the
next one each time, since most tests want to know where they are. BLOWS is a file that grows by a byte at the beginning
and at the end of each blow. Most tests speak of one connection, so one that fails is run again if
a blow has fallen while it ran, and only then. Tests whose name contains a TEXT are left out. One
line is printed for each that needed more than one trial, and a last line with the counts; the exit
code is 1 when something failed.
"""

import argparse
import itertools
import os
import subprocess
import sys

TRIALS_MAX = 8
TEST_SECONDS_MAX = 120


def tests_of(program, skipped):
    arguments = [program, "--list", "--format", "terse"]
    told = subprocess.run(arguments, check=True, capture_output=True, text=True).stdout
    names = [line.removesuffix(": test") for line in told.splitlines() if line.endswith(": test")]
    return [name for name in names if not any(text in name for text in skipped)]


def trial(program, name, server):
    """Runs one test; returns what it said if it failed, or None."""
    arguments = [program, "--exact", name, "--nocapture"]
    try:
        ran = subprocess.run(
            arguments,
            env={**os.environ, "ZNODE_TEST_CONNECT": server},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TEST_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return "still running after %s s" % TEST_SECONDS_MAX
    return None if ran.returncode == 0 else ran.stdout


def holds(program, name, blows, servers):
    for count in range(1, TRIALS_MAX + 1):
        before = os.path.getsize(blows)
        said = trial(program, name, next(servers))
        if said is None:
            if count > 1:
                print("ok   %s, in trial %d" % (name, count), flush=True)
            return True
        # An odd length: a blow has begun and not ended.
        if os.path.getsize(blows) == before and before % 2 == 0:
            break
    print("FAIL %s, in trial %d, the last of them without a blow:\n%s" % (name, count, said))
    return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("connect")
    parser.add_argument("blows")
    parser.add_argument("program")
    parser.add_argument("--skip", action="append", default=[])
    options = parser.parse_args()
    names = tests_of(options.program, options.skip)
    servers = itertools.cycle(options.connect.split(","))
    failed = sum(not holds(options.program, name, options.blows, servers) for name in names)
    print("%d passed, %d failed" % (len(names) - failed, failed))
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())
