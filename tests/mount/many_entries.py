"""Fills a directory through one mount, looks at it and halves it through both.

    many_entries.py DIRECTORY SAME_DIRECTORY_BY_ANOTHER_MOUNT FILES
"""
import os
import shutil
import sys
import time

here, there, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
started = time.monotonic()


def step(text):
    print(f"{time.monotonic() - started:6.1f} s: {text}", flush=True)


def expect(names, directory):
    listed = os.listdir(directory)
    if len(listed) != len(set(listed)):
        sys.exit(f"FAILED: {len(listed) - len(set(listed))} names are listed twice")
    if set(listed) != names:
        sys.exit(f"FAILED: {len(names - set(listed))} names are missing, {len(set(listed) - names)} should not be there")


names = {f"file-{number:05d}" for number in range(count)}
os.mkdir(here)
for name in sorted(names):
    with open(f"{here}/{name}", "x", encoding="ascii") as f:
        f.write(name)
step(f"{count} files created")
expect(names, here)
expect(names, there)
step("listed by both mounts")
for directory in (here, there):
    with os.scandir(directory) as entries:
        for entry in entries:
            status = entry.stat(follow_symlinks=False)
            if not entry.is_file() or status.st_size != len(entry.name) or status.st_ino != entry.inode():
                sys.exit(f"FAILED: {entry.path}: {status}")
step("asked for each, by both")

# Removed while the listing is under way: what stays must be seen, once.
seen = []
with os.scandir(there) as entries:
    for position, entry in enumerate(entries):
        seen.append(entry.name)
        if position % 2:
            os.unlink(entry.path)
if sorted(seen) != sorted(names):
    sys.exit(f"FAILED: while names went, {len(seen)} were seen, {len(set(seen))} of them different")
names -= set(seen[1::2])
expect(names, here)
expect(names, there)
step("every second one removed while listing; listed by both")
for name in sorted(names)[::50]:
    with open(f"{here}/{name}", encoding="ascii") as f:
        if f.read() != name:
            sys.exit(f"FAILED: contents of {name}")
shutil.rmtree(here)
if os.path.exists(there):
    sys.exit("FAILED: the directory is still there")
step("all removed")
