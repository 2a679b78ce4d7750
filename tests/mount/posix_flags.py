"""Scenarios of posix_basics.py: flags of chattr(1). Compared with ext4; left out where the native directory has none."""
import fcntl
import os
import struct
import subprocess

from posix_calls import (APPEND, EXCHANGE, GET_XFLAGS, IMMUTABLE, NOATIME, NOBODY, NODUMP, SET_XFLAGS, as_user, attempt, facts,
                         fallocate, get_flags, kind, renameat2, set_flags, write)
from posix_scenarios import scenario_of_root


def everything_done_to(path, entries):
    """Each call that changes a file or directory, or an entry of it."""
    for flags in ("O_RDONLY", "O_WRONLY", "O_RDWR"):
        for more in (0, os.O_APPEND, os.O_TRUNC, os.O_APPEND | os.O_TRUNC):
            yield f"open {flags} {more:o}", attempt(lambda: os.close(os.open(path, getattr(os, flags) | more)))
    yield "append", attempt(write, path, b"more", "ab")
    yield "truncate", attempt(os.truncate, path, 3)
    yield "chmod", attempt(os.chmod, path, 0o640)
    yield "chown", attempt(os.chown, path, 5, 6)
    yield "touch", attempt(os.utime, path)
    yield "utime", attempt(os.utime, path, (1, 2))
    yield "setxattr", attempt(os.setxattr, path, "user.other", b"1")
    yield "removexattr", attempt(os.removexattr, path, "user.kept")
    yield "link", (attempt(os.link, path, "second"), attempt(os.unlink, "second"))
    if entries:
        yield "create", attempt(write, f"{path}/new")
        yield "create what is there", attempt(os.open, f"{path}/inside", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        yield "mkdir", attempt(os.mkdir, f"{path}/made")
        yield "mkdir of what is there", attempt(os.mkdir, f"{path}/inside")
        yield "symlink", attempt(os.symlink, "x", f"{path}/pointing")
        yield "link into it", attempt(os.link, "aside", f"{path}/linked")
        yield "rename into it", attempt(os.rename, "aside", f"{path}/came")
        yield "rename over an entry", attempt(os.rename, "aside2", f"{path}/inside")
        yield "rename out of it", attempt(os.rename, f"{path}/inside", "came_out")
        yield "rename within", attempt(os.rename, f"{path}/inside", f"{path}/renamed")
        yield "unlink an entry", attempt(os.unlink, f"{path}/inside")
        yield "unlink of nothing", attempt(os.unlink, f"{path}/absent")
        yield "rmdir of an entry", attempt(os.rmdir, f"{path}/within")
        yield "write to an entry", attempt(write, f"{path}/below", b"changed")
        yield "entries", sorted(os.listdir(path))
    yield "exchange", attempt(renameat2, path, "partner", EXCHANGE)
    yield "exchange back", attempt(renameat2, path, "partner", EXCHANGE)
    yield "rename over it", attempt(os.rename, "over_dir" if entries else "over", path)
    yield "rename", attempt(os.rename, path, f"{path}2")
    yield "unlink", attempt(os.unlink, path)
    yield "rmdir", attempt(os.rmdir, path)
    yield "left", (attempt(facts, path), kind(f"{path}2"))


@scenario_of_root
def flags():
    write("probe")
    if attempt(get_flags, "probe") != 0 or attempt(set_flags, "probe", NODUMP) != "ok":
        yield "supported here", "no"
        return
    yield "got", get_flags("probe")
    for flags in (IMMUTABLE, APPEND, IMMUTABLE | APPEND | NODUMP, NOATIME):
        for entries in (False, True):
            os.makedirs("case")
            os.chdir("case")
            for name in ("aside", "aside2", "partner", "over"):
                write(name)
            os.mkdir("over_dir")
            path = "it"
            if entries:
                os.makedirs("it/within")
                for name in ("inside", "below"):
                    write(f"it/{name}")
            else:
                write(path)
            os.setxattr(path, "user.kept", b"1")
            fd = os.open(path, os.O_RDONLY if entries else os.O_RDWR)
            case = f"{flags:x} {'directory' if entries else 'file'}"
            yield f"{case} as nobody", as_user(lambda: set_flags(path, flags))
            yield f"{case} set", (attempt(set_flags, path, flags), get_flags(path))
            if not entries:
                yield f"{case} write to what was open", attempt(os.pwrite, fd, b"X", 0)
                yield f"{case} truncate what was open", attempt(os.ftruncate, fd, 1)
                yield f"{case} allocate", (attempt(fallocate, fd, 0, 0, 100), attempt(fallocate, fd, 3, 0, 10))
            for label, seen in everything_done_to(path, entries):
                yield f"{case} {label}", seen
            os.close(fd)
            for name in ("it", "it2", "partner"):
                if kind(name) in ("-", "d"):
                    set_flags(name, 0)
            os.chdir("..")
            subprocess.run(["rm", "-rf", "case"], check=True)
    os.mkdir("d")
    set_flags("d", NODUMP | NOATIME)
    write("d/f")
    os.mkdir("d/e")
    os.symlink("f", "d/s")
    yield "inherited", (get_flags("d/f"), get_flags("d/e"))
    os.mkdir("a")
    set_flags("a", APPEND)
    write("a/f")
    yield "not inherited", get_flags("a/f")
    set_flags("a", 0)
    with open("probe") as f:
        xflags = bytearray(28)
        fcntl.ioctl(f, GET_XFLAGS, xflags)
        yield "extended", struct.unpack("I", xflags[:4])[0] & 0xFF
        xflags[:4] = struct.pack("I", struct.unpack("I", xflags[:4])[0] & ~0x80 | 0x08)
        yield "set by the extended call", (attempt(fcntl.ioctl, f, SET_XFLAGS, bytes(xflags)) and get_flags("probe"))
    set_flags("probe", 0)
    yield "cleared", (get_flags("probe"), attempt(os.unlink, "probe"))
    os.mkfifo("fifo")
    yield "of a fifo", attempt(get_flags, "fifo")
    write("mine")
    os.chown("mine", NOBODY, NOBODY)
    yield "one's own", (as_user(lambda: set_flags("mine", NODUMP)), as_user(lambda: set_flags("mine", IMMUTABLE)),
                        get_flags("mine"))
    set_flags("mine", 0)
    times = os.stat("mine").st_ctime_ns
    set_flags("mine", NODUMP)
    yield "changes ctime", os.stat("mine").st_ctime_ns > times
