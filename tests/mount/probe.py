"""Does one of each kind of call every 50 ms on a mount, times every one, and says which took longest.

    probe.py DIRECTORY STOP [--bound SECONDS] [--interval SECONDS] [--directories 60]

A thread each for creating, for write and fsync, for reading and stat: one that waits must not keep the others from
seeing what they see. They go round DIRECTORY/0 .. DIRECTORY/59, so that many arcs are hit. What is read is compared.
Ends when the file STOP appears, or by SIGTERM; prints a JSON object. A further thread measures how late this process
itself was woken (`machine_late`): what is below that is the machine's, not the ring's.
Exit codes: 0 no call failed or took over the bound; 1 some did; 2 the probe itself could not work.
"""
import argparse
import errno
import json
import os
import random
import signal
import sys
import threading
import time

SHOWN_MAX = 20
REMEMBERED_MAX = 5000

arguments = argparse.ArgumentParser(usage=__doc__)
arguments.add_argument("directory")
arguments.add_argument("stop")
arguments.add_argument("--bound", type=float, default=3.0)
arguments.add_argument("--interval", type=float, default=0.05)
arguments.add_argument("--directories", type=int, default=60)
options = arguments.parse_args()

started = time.monotonic()
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())


class Kind:
    def __init__(self):
        self.calls = 0
        self.longest = 0.0
        self.longest_path = ""
        self.longest_at = 0.0


class Meter:
    """What all threads measured. Every call goes through `call`."""

    def __init__(self):
        self.lock = threading.Lock()
        self.kinds = {}
        self.errors = 0
        self.shown_errors = []
        self.slow = 0
        self.shown_slow = []

    def call(self, kind, path, do):
        """What `do` returned, or None after an error."""
        begin = time.monotonic()
        result, problem = None, None
        try:
            result = do()
        except OSError as e:
            problem = f"{errno.errorcode.get(e.errno, e.errno)}"
        took = time.monotonic() - begin
        at = round(begin - started, 2)
        with self.lock:
            entry = self.kinds.setdefault(kind, Kind())
            entry.calls += 1
            if took > entry.longest:
                entry.longest, entry.longest_path, entry.longest_at = took, path, at
            if took > options.bound:
                self.slow += 1
                if len(self.shown_slow) < SHOWN_MAX:
                    self.shown_slow.append({"call": kind, "path": path, "at": at, "seconds": round(took, 3)})
        if problem:
            self.wrong(f"{kind} {path} at {at} s: {problem} after {took:.2f} s")
        return result

    def wrong(self, text):
        with self.lock:
            self.errors += 1
            if len(self.shown_errors) < SHOWN_MAX:
                self.shown_errors.append(text)


meter = Meter()
# What is known to be there: (path, contents). The oldest are forgotten, not removed.
created = []
created_lock = threading.Lock()


def directory(number):
    return f"{options.directory}/{number % options.directories}"


def opened(kind, path, flags):
    return meter.call(kind, path, lambda: os.open(path, flags, 0o644))


def create(number):
    path = f"{directory(number)}/file-{number}"
    fd = opened("create", path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    if fd is None:
        return
    text = path.encode() * (1 + number % 7)
    wrote = meter.call("write", path, lambda: os.write(fd, text))
    # A close has committed; one that failed is already counted.
    closed = meter.call("close", path, lambda: os.close(fd) or True)
    if wrote == len(text) and closed:
        with created_lock:
            created.append((path, text))
            del created[:-REMEMBERED_MAX]


def sync(number):
    """Writes and syncs a file of its own, in every directory in turn; the handles stay open."""
    path = f"{directory(number)}/synced"
    if path not in handles:
        fd = opened("create", path, os.O_RDWR | os.O_CREAT)
        if fd is None:
            return
        handles[path] = fd
    fd = handles[path]
    text = f"{number:08d}".encode() * 64
    if meter.call("write", path, lambda: os.pwrite(fd, text, (number // options.directories) % 64 * len(text))) is None:
        return
    meter.call("fsync", path, lambda: os.fsync(fd))


def read(_):
    with created_lock:
        if not created:
            return
        path, text = random.choice(created)
    fd = opened("open", path, os.O_RDONLY)
    if fd is not None:
        found = meter.call("read", path, lambda: os.read(fd, len(text) + 1))
        meter.call("close", path, lambda: os.close(fd))
        if found is not None and found != text:
            meter.wrong(f"read {path}: {len(found)} bytes, not the {len(text)} that were written")
    status = meter.call("stat", path, lambda: os.stat(path))
    if status is not None and status.st_size != len(text):
        meter.wrong(f"stat {path}: {status.st_size} bytes, not {len(text)}")


handles = {}
machine_late = 0.0


def watch_machine(_):
    global machine_late
    before = time.monotonic()
    time.sleep(options.interval)
    machine_late = max(machine_late, time.monotonic() - before - options.interval)


broken = []


def run(do):
    number, due = 0, time.monotonic()
    try:
        while not over.is_set():
            do(number)
            number += 1
            due = max(due + options.interval, time.monotonic())  # What was missed while waiting is not caught up.
            over.wait(max(0.0, due - time.monotonic()))
    except Exception as e:  # A thread that is gone would see nothing wrong from then on.
        broken.append(f"{do.__name__}: {type(e).__name__}: {e}")
        over.set()


try:
    for number in range(options.directories):
        os.makedirs(directory(number), exist_ok=True)
except OSError as e:
    print(f"probe: {e}", file=sys.stderr)
    sys.exit(2)

threads = [threading.Thread(target=run, args=(do,), name=do.__name__) for do in (create, sync, read, watch_machine)]
for thread in threads:
    thread.start()
while not over.is_set():
    if os.path.exists(options.stop):
        over.set()
    over.wait(0.1)
for thread in threads:
    thread.join()
for path, fd in handles.items():
    meter.call("close", path, lambda fd=fd: os.close(fd))

longest = max(meter.kinds.items(), key=lambda item: item[1].longest, default=("none", Kind()))
calls = sum(entry.calls for entry in meter.kinds.values())
print(json.dumps({
    "seconds": round(time.monotonic() - started, 1),
    "calls": calls,
    "errors": meter.errors,
    "over_bound": meter.slow,
    "bound": options.bound,
    "longest": round(longest[1].longest, 3),
    "longest_call": longest[0],
    "longest_path": longest[1].longest_path,
    "machine_late": round(machine_late, 3),
    "kinds": {kind: {"calls": entry.calls, "longest": round(entry.longest, 3), "path": entry.longest_path,
                     "at": entry.longest_at} for kind, entry in sorted(meter.kinds.items())},
    "slow_calls": meter.shown_slow,
    "first_errors": meter.shown_errors,
    "broken": broken,
}, indent=1))
if broken or not calls:
    sys.exit(2)
sys.exit(1 if meter.errors or meter.slow else 0)
