#!/usr/bin/env python3
"""coherence_open.py ONE TWO: one file, open through both mounts all the while, written through either without fsync.

What write(2), ftruncate(2) and fallocate(2) have said counts: the next read, stat, SEEK_DATA or look at a mapped page
through the other mount shows it. A model of the contents judges. Ends with 1 and a line for each difference.
"""

import mmap
import os
import random
import sys

one, two = sys.argv[1:3]
rng = random.Random(11)
wrong = []
SMALL, LARGE = 3000, 700_000


def play(name, size_max, turns):
    model = bytearray()
    for mount in (one, two):
        os.listdir(mount)
    first = os.open(f"{one}/{name}", os.O_CREAT | os.O_RDWR, 0o644)
    second = os.open(f"{two}/{name}", os.O_RDWR)
    appending = [os.open(f"{mount}/{name}", os.O_WRONLY | os.O_APPEND) for mount in (one, two)]
    files, did = [first, second], []

    def check(turn, what, seen, should):
        if seen == should:
            return
        at = next((i for i, (a, b) in enumerate(zip(seen, should)) if a != b), min(len(seen), len(should)))
        wrong.append(f"{name}, turn {turn} {did}, {what}: {len(seen)} bytes for {len(should)}, the first difference at {at}")

    for turn in range(turns):
        doer = rng.randrange(2)
        did = [f"by {doer}, {len(model)} bytes"]
        # Often several in a row, of which the first few are committed and the rest is kept.
        for _ in range(rng.choice([1, 1, 2, 5])):
            kind = rng.choice(["write", "write", "write", "append", "truncate", "punch"])
            data = os.urandom(rng.randrange(1, 4000)) if size_max == SMALL else os.urandom(rng.randrange(1, 90_000))
            if kind == "write":
                offset = rng.randrange(size_max)
                os.pwrite(files[doer], data, offset)
                if len(model) < offset:
                    model.extend(bytes(offset - len(model)))
                model[offset:offset + len(data)] = data
                did.append(f"write {len(data)} at {offset}")
            elif kind == "append":
                os.write(appending[doer], data)
                model.extend(data)
                did.append(f"append {len(data)}")
            elif kind == "truncate" and (len(model) > 2 * size_max or rng.random() < 0.2):
                size = rng.randrange(size_max)
                os.ftruncate(files[doer], size)
                del model[size:]
                model.extend(bytes(size - len(model)))
                did.append(f"truncate to {size}")
        looker = rng.choice([1 - doer, 1 - doer, doer])
        did.append(f"seen by {looker}")
        size = os.fstat(files[looker]).st_size
        if size != len(model):
            wrong.append(f"{name}, turn {turn} {did}: a size of {size}, and should be {len(model)}")
        offset = rng.randrange(len(model) + 1)
        length = rng.randrange(1, 20_000)
        check(turn, f"read at {offset}", os.pread(files[looker], length, offset), bytes(model[offset:offset + length]))
        if model and size == len(model) and rng.random() < 0.3:
            with mmap.mmap(files[looker], len(model), prot=mmap.PROT_READ) as pages:
                check(turn, "mapped", pages[:], bytes(model))
        if len(wrong) > 10:
            break
    for file in files:
        check("at the end", "all", os.pread(file, len(model) + 1, 0), bytes(model))
    for file in files + appending:
        os.close(file)


play("small", SMALL, 400)
play("large", LARGE, 250)
for line in wrong:
    print(line)
sys.exit(1 if wrong else 0)
