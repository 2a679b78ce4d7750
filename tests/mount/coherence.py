#!/usr/bin/env python3
"""coherence.py ONE TWO: changes by one mount, looked at through the other while its leases are warm.

Every look is preceded by looks that make the answer leased; every change must be seen by the next look. Ends with 1 and a
line for each difference.
"""

import os
import random
import stat
import sys
import time

one, two = sys.argv[1:3]
rng = random.Random(7)
wrong = []


def differs(what, is_, should):
    if is_ != should:
        wrong.append(f"{what}: {is_!r}, and should be {should!r}")


def warm(look):
    """Looks until leases may have been granted, and returns the last look."""
    for _ in range(3):
        seen = look()
    return seen


def read(path):
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except FileNotFoundError:
        return None


def mode(path):
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return None


state = {}  # Name: contents.
for mount in (one, two):
    os.listdir(mount)
os.mkdir(f"{one}/shared")
# Leases begin a moment after a mount has first asked an arc.
until = time.monotonic() + 1.5
while time.monotonic() < until:
    os.listdir(f"{one}/shared"), os.listdir(f"{two}/shared")

for turn in range(600):
    doer, looker = (one, two) if rng.random() < 0.5 else (two, one)
    name = rng.choice("abcdef")
    path, seen = f"{doer}/shared/{name}", f"{looker}/shared/{name}"
    warm(lambda: (read(seen), mode(seen), sorted(os.listdir(f"{looker}/shared"))))
    differs(f"turn {turn}: {name} before", read(seen), state.get(name))
    kind = rng.choice(["write", "write", "append", "unlink", "rename", "chmod", "truncate"])
    if kind == "write":
        state[name] = f"{turn} " * rng.choice([1, 100, 30000])
        with open(path, "w", encoding="ascii") as file:
            file.write(state[name])
    elif kind == "append" and name in state:
        state[name] += "+"
        with open(path, "a", encoding="ascii") as file:
            file.write("+")
    elif kind == "unlink" and name in state:
        del state[name]
        os.unlink(path)
    elif kind == "rename" and name in state:
        to = rng.choice("abcdef")
        warm(lambda: read(f"{looker}/shared/{to}"))
        os.rename(path, f"{doer}/shared/{to}")
        state[to] = state.pop(name)
        differs(f"turn {turn}: {to} after a rename", read(f"{looker}/shared/{to}"), state[to])
    elif kind == "chmod" and name in state:
        bits = rng.choice([0o600, 0o644, 0o640])
        os.chmod(path, bits)
        differs(f"turn {turn}: mode of {name}", mode(seen), bits)
    elif kind == "truncate" and name in state:
        state[name] = state[name][:3]
        os.truncate(path, min(3, len(state[name])))
    differs(f"turn {turn}: {name} after {kind}", read(seen), state.get(name))
    differs(f"turn {turn}: the listing after {kind}", sorted(os.listdir(f"{looker}/shared")), sorted(state))
    if len(wrong) > 20:
        break

for line in wrong:
    print(line)
sys.exit(1 if wrong else 0)
