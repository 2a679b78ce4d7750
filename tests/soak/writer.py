"""One program that uses a mount: writes, fsyncs, overwrites, renames, deletes, reads back; logs what was acknowledged.

    writer.py DIRECTORY SAME_BY_THE_OTHER_MOUNT MANIFEST READS SEED

Ends by SIGTERM, after the operation under way. An operation that fails with EIO has an unknown outcome, and the model
says what may be found from then on; any other error, and anything read that the model refuses, is `wrong` and logged so.
READS gets one JSON line at the end: how many reads succeeded and failed.
"""
import errno
import json
import os
import random
import signal
import sys
import time

from manifest import Expected, Log, Model, contents, digest

DIRECTORIES = 20
NAMES_MAX = 250
PIECES_MAX = 8
FORGOTTEN_MAX = 100
SIZES = [0, 1, 100, 4096, 4097, 20000, 20000, 131072, 300000, (1 << 20) + 1]
LARGE = 5 << 20

top, other_top, manifest, reads_path, seed = *sys.argv[1:5], int(sys.argv[5])
dice = random.Random(seed)
model, log = Model(), Log(manifest)
stopping = False
reads = {"reads": 0, "failed_reads": 0}
SLOW = 0.5  # A read that takes longer is logged.


def stop(*_):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)


class Ticket:
    """Numbers for names, never used twice."""
    last = 0

    @classmethod
    def name(cls):
        cls.last += 1
        return f"{dice.randrange(DIRECTORIES)}/{seed}-{cls.last}"


def new_piece(offset, length=None):
    if length is None:
        length = LARGE if dice.random() < 0.02 else dice.choice(SIZES)
    return (offset, dice.randrange(1 << 48), length)


def write_synced(path, flags, data, offset=0):
    """The close counts too: it is where an error of what was written may be told."""
    fd = os.open(path, flags, 0o644)
    try:
        left = memoryview(data)
        while left:
            wrote = os.pwrite(fd, left, offset)
            offset += wrote
            left = left[wrote:]
        os.fsync(fd)
    except OSError:
        try:
            os.close(fd)
        except OSError:
            pass
        raise
    os.close(fd)


def perform(op):
    path = f"{top}/{op['path']}"
    match op["op"]:
        case "create":
            write_synced(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, contents(op["pieces"]))
        case "rewrite":
            write_synced(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, contents(op["pieces"]))
        case "write_at":
            offset, piece_seed, length = op["pieces"][-1]
            write_synced(path, os.O_WRONLY, random.Random(piece_seed).randbytes(length), offset)
        case "replace":
            write_synced(f"{top}/{op['temp']}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, contents(op["pieces"]))
            os.rename(f"{top}/{op['temp']}", path)
        case "rename":
            os.rename(path, f"{top}/{op['to']}")
        case "unlink":
            os.unlink(path)


def choose():
    """The next operation, of those that make sense with what is there."""
    usable = [path for path, expected in model.names.items() if expected.latest() or expected.certain and expected.present]
    if not usable or len(usable) < 20 or len(usable) < NAMES_MAX and dice.random() < 0.3:
        return {"op": "create", "path": Ticket.name(), "pieces": [new_piece(0)]}
    path = dice.choice(usable)
    expected = model.names[path]
    if len(usable) >= NAMES_MAX:
        return {"op": "unlink", "path": path} if expected.certain else {"op": "rewrite", "path": path, "pieces": [new_piece(0)]}
    kind = dice.choice(["rewrite", "write_at", "write_at", "replace", "rename", "unlink"])
    if not expected.certain and kind != "replace":
        kind = "rewrite"  # What is uncertain becomes certain again by one that does not care what was there.
    match kind:
        case "write_at":
            pieces = list(expected.latest())
            size = len(contents(pieces))
            if len(pieces) < PIECES_MAX and size < LARGE:
                offset = dice.choice([size, dice.randrange(size + 1)])
                return {"op": "write_at", "path": path, "pieces": pieces + [new_piece(offset, dice.choice([1, 100, 4096, 70000]))]}
            return {"op": "rewrite", "path": path, "pieces": [new_piece(0)]}
        case "rewrite":
            return {"op": "rewrite", "path": path, "pieces": [new_piece(0)]}
        case "replace":
            return {"op": "replace", "path": path, "pieces": [new_piece(0)], "temp": Ticket.name() + ".temp"}
        case "rename":
            return {"op": "rename", "path": path, "to": Ticket.name()}
        case _:
            return {"op": "unlink", "path": path}


def change():
    op = choose()
    if "pieces" in op:
        data = contents(op["pieces"])
        op |= {"size": len(data), "sha": digest(data)}
    log.begin(op)
    begun = time.monotonic()
    try:
        perform(op)
    except OSError as e:
        name = errno.errorcode.get(e.errno, str(e.errno))
        log.done("failed", name, time.monotonic() - begun)
        model.settle(op, "failed")
        if e.errno != errno.EIO:
            log.done("wrong", f"{op['op']} {op['path']}: {name}")
        time.sleep(0.1)
        return
    log.done("acked", took=time.monotonic() - begun)
    model.settle(op, "acked")
    if "to" in op or op["op"] == "unlink":
        del model.names[op["path"]]  # Never used again; whoever replays the log keeps it.
        gone.append(op["path"])
        del gone[:-FORGOTTEN_MAX]


def look(path):
    """A name through either mount: what was acknowledged is there, and what was removed is not."""
    by = top if dice.random() < 0.7 else other_top
    expected = model.names.get(path, Expected([None]))
    begun = time.monotonic()
    try:
        with open(f"{by}/{path}", "rb") as f:
            found = f.read()
    except FileNotFoundError:
        found = None
    except OSError as e:
        reads["failed_reads"] += 1
        log.done("read", errno.errorcode.get(e.errno, str(e.errno)), time.monotonic() - begun)
        if e.errno != errno.EIO:
            log.done("wrong", f"read {path}: {e}")
        return
    reads["reads"] += 1
    if time.monotonic() - begun > SLOW:
        log.done("read", took=time.monotonic() - begun)
    why = expected.refuses(found)
    if why:
        log.done("wrong", f"read {path} by {'its own' if by == top else 'the other'} mount, "
                          f"after {model.acked} acknowledged operations: {why}")


def prepare():
    """Directories; until it works, because the ring may be hit at once."""
    for number in range(DIRECTORIES):
        while not stopping:
            try:
                os.makedirs(f"{top}/{number}", exist_ok=True)
                break
            except OSError as e:
                if e.errno != errno.EIO:
                    raise
                time.sleep(0.2)


gone = []
prepare()
while not stopping:
    change()
    if model.names and dice.random() < 0.5:
        look(dice.choice(list(model.names)))
    if gone and dice.random() < 0.1:
        look(dice.choice(gone))
with open(reads_path, "w", encoding="ascii") as f:
    json.dump(reads, f)
