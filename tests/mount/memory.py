"""Rounds of work in a directory of a mount; after each, the memory that its process has.

    memory.py DIRECTORY PID FILES ROUNDS

Prints a line a round: KiB held, KiB at most so far. In each round FILES files are created, listed, looked at, read and
removed, and a file of 64 MiB is written, read and removed.
"""
import os
import sys

LARGE_BYTES, PIECE = 64 << 20, bytes(range(256)) * 4096


def memory(pid):
    with open(f"/proc/{pid}/status") as f:
        fields = dict(line.split(":", 1) for line in f)
    return [int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM")]


def small_files(top, files):
    os.mkdir(top)
    for number in range(files):
        with open(f"{top}/a-file-with-a-name-{number}", "wb") as f:
            f.write(b"x" * 100)
    names = os.listdir(top)
    assert len(names) == files
    for name in names:
        with open(f"{top}/{name}", "rb") as f:
            assert len(f.read()) == 100
        os.stat(f"{top}/{name}")
        os.unlink(f"{top}/{name}")
    os.rmdir(top)


def large_file(path):
    with open(path, "wb") as f:
        for _ in range(LARGE_BYTES // len(PIECE)):
            f.write(PIECE)
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    while piece := os.read(fd, len(PIECE)):
        assert piece == PIECE
    os.close(fd)
    os.unlink(path)


def main():
    top, pid, files, rounds = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
    for number in range(rounds):
        small_files(f"{top}/{number}", files)
        large_file(f"{top}/large")
        print(*memory(pid), flush=True)


main()
