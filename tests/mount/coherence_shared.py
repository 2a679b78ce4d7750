"""One file that two programs write at the same time through two mounts: every other record is of one of them, so that
they share pages and blocks. A record that was written is there for both, and nothing of the other one's is lost.

    coherence_shared.py ONE TWO [SECONDS]
"""
import os
import random
import sys
import time
from multiprocessing import Process, Value

RECORD, RECORDS = 100, 4000
READS = 0.25  # Of its calls.


def contents(version, number):
    return f"{number:8}{version:12}".encode().ljust(RECORD, b".")


def version_of(data, number):
    if data == b"0" * RECORD:
        return 0
    version = int(data[8:20])
    if data != contents(version, number):
        sys.exit(f"record {number} is torn: {data!r}")
    return version


def write(path, mine, told, longest, until):
    dice = random.Random(mine)
    versions = dict.fromkeys(range(mine, RECORDS, 2), 0)
    seen = {}
    fd = os.open(path, os.O_RDWR)
    calls = 0
    while time.monotonic() < until:
        begun = time.monotonic()
        number = dice.choice(list(versions))
        if dice.random() < READS:
            number = dice.randrange(RECORDS)
            version = version_of(os.pread(fd, RECORD, number * RECORD), number)
            if number in versions and version != versions[number]:
                sys.exit(f"record {number}: {version}, written by this very program: {versions[number]}")
            if version < seen.get(number, 0):
                sys.exit(f"record {number}: {version} after {seen[number]}")
            seen[number] = version
        else:
            versions[number] += 1
            if os.pwrite(fd, contents(versions[number], number), number * RECORD) != RECORD:
                sys.exit("a short write")
        longest.value = max(longest.value, time.monotonic() - begun)
        calls += 1
    told.value = calls
    os.close(fd)
    fd = os.open(path, os.O_RDONLY)
    for number, version in versions.items():
        if (found := version_of(os.pread(fd, RECORD, number * RECORD), number)) != version:
            sys.exit(f"record {number}: {found}, at the end, and {version} was written")
    os.close(fd)


one, two = sys.argv[1:3]
seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 8
with open(f"{one}/both", "wb") as file:
    file.write(b"0" * RECORD * RECORDS)
until = time.monotonic() + seconds
told, longest = [Value("i") for _ in range(2)], [Value("d") for _ in range(2)]
programs = [Process(target=write, args=(f"{top}/both", i, told[i], longest[i], until)) for i, top in enumerate((one, two))]
for program in programs:
    program.start()
for program in programs:
    program.join()
print(f"calls: {[t.value for t in told]}, longest: {[round(l.value, 2) for l in longest]} s")
sys.exit(any(program.exitcode for program in programs) or not all(t.value for t in told))
