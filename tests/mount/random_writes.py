"""Does the same random operations to a native file and to one on a mount, compares on the way and at the end.

    random_writes.py NATIVE MOUNTED SEEN_BY_ANOTHER_MOUNT SEED OPERATIONS

Sizes lie around what is special inside: the bytes kept in the record, blocks, chunks. Prints the seed when it fails.
"""
import hashlib
import os
import random
import sys

SPECIAL = [0, 1, 4095, 4096, 4097, 128 << 10, 1 << 20, (1 << 20) + 1, 4 << 20, (4 << 20) + 1, 16 << 20]
SIZE_MAX = 24 << 20
native_path, mounted_path, elsewhere_path, seed, operations = *sys.argv[1:4], int(sys.argv[4]), int(sys.argv[5])
dice = random.Random(seed)
noise = dice.randbytes(8 << 20)


def offset():
    near = dice.choice(SPECIAL) + dice.randrange(-64, 65)
    return max(0, dice.choice([near, dice.randrange(SIZE_MAX), dice.randrange(20000)]))


def length():
    return dice.choice([1, 7, 100, 4096, 4097, 65536, dice.randrange(1, 300000), dice.randrange(1, 3 << 20)])


def digest(path):
    with open(path, "rb") as f:
        return os.fstat(f.fileno()).st_size, hashlib.file_digest(f, "sha256").hexdigest()


class Pair:
    """The two files, open for as long as the dice say."""

    def __init__(self):
        self.fds = [os.open(path, os.O_RDWR | os.O_CREAT, 0o644) for path in (native_path, mounted_path)]

    def reopen(self):
        for fd in self.fds:
            os.close(fd)
        self.__init__()

    def both(self, do):
        results = [do(fd) for fd in self.fds]
        if results[0] != results[1]:
            what = [hashlib.sha256(r).hexdigest() + f" of {len(r)} bytes" if isinstance(r, bytes) else r for r in results]
            raise AssertionError(f"native {what[0]}, mounted {what[1]}")

    def write(self):
        at, size, start = offset(), length(), dice.randrange(1 << 20)
        self.both(lambda fd: os.pwrite(fd, noise[start:start + size], at))

    def read(self):
        at, size = offset(), length()
        self.both(lambda fd: os.pread(fd, size, at))

    def append(self):
        size, start = dice.randrange(1, 50000), dice.randrange(1 << 20)
        for path in (native_path, mounted_path):
            with open(path, "ab", buffering=0) as f:
                assert f.write(noise[start:start + size]) == size
        self.both(lambda fd: os.fstat(fd).st_size)

    def truncate(self):
        to = min(offset(), SIZE_MAX)
        self.both(lambda fd: os.ftruncate(fd, to))

    def truncate_by_path(self):
        to = min(offset(), SIZE_MAX)
        os.truncate(native_path, to)
        os.truncate(mounted_path, to)
        self.both(lambda fd: os.fstat(fd).st_size)

    def sync(self):
        self.both(dice.choice([os.fsync, os.fdatasync]))

    def shrink(self):
        if os.fstat(self.fds[0]).st_size > SIZE_MAX:
            self.both(lambda fd: os.ftruncate(fd, 3 << 20))


def main():
    pair = Pair()
    actions = [(pair.write, 40), (pair.read, 25), (pair.append, 8), (pair.truncate, 8), (pair.truncate_by_path, 3),
               (pair.sync, 4), (pair.reopen, 6)]
    for number in range(operations):
        action = dice.choices([a for a, _ in actions], [weight for _, weight in actions])[0]
        try:
            action()
            pair.shrink()
            if number % 500 == 499:
                pair.reopen()
                for path in (mounted_path, elsewhere_path):
                    if digest(native_path) != digest(path):
                        raise AssertionError(f"whole file: {digest(native_path)} natively, {digest(path)} at {path}")
        except (AssertionError, OSError) as e:
            sys.exit(f"FAILED: seed {seed}, operation {number}, {action.__name__}: {type(e).__name__}: {e}")
    pair.reopen()
    if digest(native_path) != digest(elsewhere_path):
        sys.exit(f"FAILED: seed {seed}, at the end: {digest(native_path)} natively, {digest(elsewhere_path)} elsewhere")
    print(f"      {operations} operations beside a native file, seed {seed}: the same, {digest(native_path)[0]} bytes at the end")


main()
