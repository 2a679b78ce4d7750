"""Writes files to a mount until it is told to stop, and logs outside the ring what was acknowledged; or checks that log.

    acknowledged.py write DIRECTORY MANIFEST STOP SEED     until the file STOP appears, or a call fails (exit code 3)
    acknowledged.py check DIRECTORY MANIFEST               every entry is there with its SHA-256; prints how many

An entry (path, size, SHA-256) is logged when both fsync and close have returned. Who kills the ring under the writer stops
it by the error it gets. Nothing is said about what is not in the log.
"""
import hashlib
import os
import random
import sys

SIZES = [0, 1, 100, 4096, 4097, 20000, 131072, 1 << 20, (1 << 20) + 1, 3 << 20]
DIRECTORIES = 60


def write(top, manifest, stop, seed):
    dice = random.Random(seed)
    for number in range(DIRECTORIES):
        os.makedirs(f"{top}/{number}", exist_ok=True)
    log = os.open(manifest, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    number = 0
    while not os.path.exists(stop):
        name = f"{dice.randrange(DIRECTORIES)}/{seed}-{number}"
        contents = dice.randbytes(dice.choice(SIZES))
        try:
            fd = os.open(f"{top}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            try:
                left = memoryview(contents)
                while left:
                    left = left[os.write(fd, left):]
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as e:
            print(f"{name}: {e}")
            sys.exit(3)
        os.write(log, f"{name} {len(contents)} {hashlib.sha256(contents).hexdigest()}\n".encode())
        number += 1


def check(top, manifest):
    with open(manifest, encoding="ascii") as f:
        entries = [line.split() for line in f]
    lost = []
    for name, size, expected in entries:
        try:
            with open(f"{top}/{name}", "rb") as f:
                contents = f.read()
        except OSError as e:
            lost.append(f"{name}: {e}")
            continue
        if len(contents) != int(size) or hashlib.sha256(contents).hexdigest() != expected:
            lost.append(f"{name}: {len(contents)} bytes that are not the {size} acknowledged ones")
    for line in lost[:20]:
        print(f"LOST {line}", file=sys.stderr)
    print(len(entries))
    sys.exit(1 if lost or not entries else 0)


if sys.argv[1] == "write":
    write(*sys.argv[2:5], int(sys.argv[5]))
else:
    check(*sys.argv[2:])
