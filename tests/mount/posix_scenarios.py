"""The scenarios of posix_basics.py."""
import fcntl
import hashlib
import mmap
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import time

from posix_calls import (AS_ROOT, EXCHANGE, NOBODY, NOREPLACE, DirectoryStream, as_user, attempt, facts, fallocate, kind, read, renameat2,
                         tree, write)

ALL = {}


def scenario(function):
    ALL[function.__name__] = function
    return function


def scenario_of_root(function):
    return scenario(function) if AS_ROOT else function


# ---- Names ----

def make(path, what):
    if what == "file":
        write(path, path.encode())
    elif what in ("empty", "full"):
        os.mkdir(path)
        if what == "full":
            write(f"{path}/inside")
    elif what == "link":
        os.symlink("to/nothing", path)
    elif what == "fifo":
        os.mkfifo(path)


@scenario
def rename_matrix():
    kinds = ["missing", "file", "empty", "full", "link", "fifo"]
    for flags in (0, NOREPLACE, EXCHANGE):
        for where in ("s", "d"):
            for source in kinds:
                for target in [*kinds, "same inode"]:
                    case = f"{flags}-{where}-{source}-{target}".replace(" ", "_")
                    os.makedirs(f"{case}/d" if where == "d" else case)
                    os.chdir(case)
                    to = "d/target" if where == "d" else "target"
                    make("source", source)
                    if target == "same inode" and source in ("file", "link", "fifo"):
                        os.link("source", to, follow_symlinks=False)
                    else:
                        make(to, target)
                    yield case, attempt(renameat2, "source", to, flags)
                    yield f"{case} left", tree()
                    os.chdir("..")


@scenario
def rename_special():
    os.makedirs("a/b/c")
    os.mkdir("x")
    yield "into itself", attempt(os.rename, "a", "a/b/a")
    yield "onto its child", attempt(os.rename, "a", "a/b")
    yield "onto its parent", attempt(os.rename, "a/b", "a")
    yield "exchange with its child", attempt(renameat2, "a", "a/b/c", EXCHANGE)
    yield "dot", attempt(os.rename, "a/.", "y")
    yield "dot-dot", attempt(os.rename, "a/..", "y")
    yield "unknown flag", attempt(renameat2, "a", "y", 1 << 20)
    yield "both flags", attempt(renameat2, "a", "x", NOREPLACE | EXCHANGE)
    write("f")
    yield "below a file", attempt(os.rename, "x", "f/x")
    yield "file with a slash", attempt(os.rename, "f/", "g")
    yield "to a new name with a slash", attempt(os.rename, "f", "g/")
    yield "directory with a slash", attempt(os.rename, "x/", "z/")
    yield "links before", (facts("."), facts("a"), facts("a/b"))
    yield "directory to another parent", attempt(os.rename, "a/b", "z/b")
    yield "links after", (facts("."), facts("a"), facts("z"), facts("z/b"))
    yield "dot-dot follows", os.stat("z/b/..").st_ino == os.stat("z").st_ino
    os.makedirs("p/q")
    yield "exchange of directories of two parents", attempt(renameat2, "p/q", "z/b", EXCHANGE)
    yield "dot-dot after exchange", (os.stat("z/b/..").st_ino == os.stat("z").st_ino,
                                     os.stat("p/q/..").st_ino == os.stat("p").st_ino)
    yield "tree", tree()
    fd = os.open("f", os.O_RDWR)
    write("over", b"the new one")
    ino = os.stat("over").st_ino
    os.rename("over", "f")
    yield "replaced while open", (os.fstat(fd).st_nlink, os.read(fd, 100), read("f"), os.stat("f").st_ino == ino)
    os.rename("f", "elsewhere")
    os.close(fd)
    fd = os.open("elsewhere", os.O_RDWR)
    os.rename("elsewhere", "back")
    os.write(fd, b"THE")
    os.close(fd)
    yield "written while it was renamed", read("back")


@scenario
def links():
    write("f")
    yield "link", attempt(os.link, "f", "g")
    yield "both", (facts("f"), facts("g"), os.stat("f").st_ino == os.stat("g").st_ino)
    yield "over another", attempt(os.link, "f", "g")
    os.mkdir("d")
    yield "of a directory", attempt(os.link, "d", "e")
    yield "into a missing directory", attempt(os.link, "f", "no/g")
    yield "of nothing", attempt(os.link, "no", "h")
    yield "into another directory", attempt(os.link, "f", "d/f")
    write("d/f", b" and more", "ab")
    yield "seen by all names", (read("f"), read("g"), read("d/f"), facts("g"))
    os.unlink("f")
    yield "one name less", (facts("g"), kind("f"))
    os.symlink("g", "s")
    yield "of a symbolic link", (attempt(os.link, "s", "t", follow_symlinks=False), kind("t"), facts("t"))
    for number in range(50):
        os.link("g", f"more{number}")
    yield "many", facts("g")
    fd = os.open("alone", os.O_RDWR | os.O_CREAT)
    os.unlink("alone")
    yield "of an unlinked file", attempt(os.link, f"/proc/self/fd/{fd}", "again", follow_symlinks=True)
    os.close(fd)


@scenario
def symbolic_links():
    for length in (1, 100, 255, 256, 1000, 4095, 4096):
        path = f"s{length}"
        target = "/".join(["x" * 50] * 100)[:length]
        yield f"target of {length}", attempt(os.symlink, target, path)
        yield f"read {length}", attempt(os.readlink, path)
        yield f"facts {length}", attempt(facts, path)
    yield "odd bytes", (attempt(os.symlink, b"\xff\n \x01", b"odd"), os.readlink(b"odd"))
    yield "over another", attempt(os.symlink, "x", "s1")
    yield "empty", attempt(os.symlink, "", "empty")
    os.symlink("loop2", "loop1")
    os.symlink("loop1", "loop2")
    yield "loop", (attempt(os.stat, "loop1"), attempt(os.open, "loop1", os.O_RDONLY), kind("loop1"))
    os.symlink("made", "dangling")
    yield "create through a dangling one", (attempt(write, "dangling", b"1"), kind("made"), read("made"))
    yield "exclusively", attempt(os.open, "dangling", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    yield "not followed", attempt(os.open, "dangling", os.O_NOFOLLOW)
    os.mkdir("d")
    os.symlink("d", "to_d")
    write("to_d/f")
    yield "through a directory's", (os.listdir("to_d"), attempt(os.rmdir, "to_d"), attempt(os.unlink, "to_d"), tree())
    yield "readlink of a file", attempt(os.readlink, "made")


@scenario
def names():
    odd = [b"\xff\xfe", b"new\nline", b" ", b"*", b"\x01", b"-rf", b"...", b"a" * 255, "\u00e4".encode() * 127, b"\\", b"~",
           bytes(range(1, 47)) + bytes(range(48, 256))]
    for name in odd:
        yield f"create {name[:20]}", attempt(write, name, name)
        yield f"read {name[:20]}", attempt(read, name)
    yield "list", sorted(os.listdir(b"."))
    for name in odd:
        yield f"rename {name[:20]}", attempt(os.rename, name, name[:200] + b"+")
        yield f"unlink {name[:20]}", attempt(os.unlink, name[:200] + b"+")
    long = "b" * 256
    write("f")
    os.mkdir("d")
    for label, call in {
            "create": lambda: write(long), "open": lambda: read(long), "mkdir": lambda: os.mkdir(long),
            "stat": lambda: os.stat(long), "symlink": lambda: os.symlink("x", long), "link": lambda: os.link("f", long),
            "rename to": lambda: os.rename("f", long), "rename from": lambda: os.rename(long, "g"),
            "unlink": lambda: os.unlink(long), "rmdir": lambda: os.rmdir(long), "mkfifo": lambda: os.mkfifo(long)}.items():
        yield f"256 bytes: {label}", attempt(call)
    yield "mkdir dot", (attempt(os.mkdir, "."), attempt(os.mkdir, ".."), attempt(os.mkdir, "d/."))
    yield "rmdir dot", (attempt(os.rmdir, "d/."), attempt(os.rmdir, "d/.."))
    yield "unlink dot", (attempt(os.unlink, "d/."), attempt(os.unlink, "d/.."))
    yield "below a file", (attempt(os.stat, "f/x"), attempt(os.mkdir, "f/x"), attempt(write, "f/x"), attempt(os.stat, "f/"))
    yield "below nothing", (attempt(os.stat, "no/x"), attempt(os.mkdir, "no/x"), attempt(write, "no/x"), attempt(os.stat, ""))
    yield "case matters", (attempt(write, "F", b"big"), read("f"), read("F"))


@scenario
def deep_paths():
    for depth in range(60):
        os.mkdir("d" * 100)
        os.chdir("d" * 100)
        if depth == 59:
            write("bottom", b"here")
            yield "bottom", (read("bottom"), facts("bottom"))
            yield "too long to name", attempt(os.stat, os.getcwd() + "/bottom")
            os.unlink("bottom")
    for _ in range(60):
        os.chdir("..")
        yield "up", attempt(os.rmdir, "d" * 100)


# ---- Removal ----

@scenario
def unlink_while_open():
    write("f", b"0123456789" * 1000)
    fd = os.open("f", os.O_RDWR)
    again = os.dup(fd)
    yield "unlink", attempt(os.unlink, "f")
    yield "gone by name", (kind("f"), os.listdir("."))
    yield "still there", (facts(fd), os.pread(fd, 10, 5))
    yield "written", (os.pwrite(fd, b"more", 20000), facts(fd), os.pread(fd, 8, 19996))
    yield "truncated", (attempt(os.ftruncate, fd, 5), os.pread(fd, 100, 0), facts(fd))
    yield "chmod", (attempt(os.fchmod, fd, 0o600), facts(fd))
    yield "sync", attempt(os.fsync, fd)
    write("f", b"another")
    yield "a new one of its name", (read("f"), os.pread(fd, 100, 0))
    os.close(fd)
    yield "the other descriptor", (os.pread(again, 100, 0), os.pwrite(again, b"x", 0), os.pread(again, 100, 0))
    yield "opened again", attempt(lambda: os.pread(os.open(f"/proc/self/fd/{again}", os.O_RDONLY), 9, 0))
    os.close(again)


@scenario
def remove():
    write("f")
    os.makedirs("d/e")
    yield "rmdir not empty", attempt(os.rmdir, "d")
    yield "rmdir of a file", attempt(os.rmdir, "f")
    yield "unlink of a directory", attempt(os.unlink, "d")
    yield "of nothing", (attempt(os.unlink, "no"), attempt(os.rmdir, "no"))
    here = os.open("d/e", os.O_DIRECTORY)
    yield "rmdir while open", attempt(os.rmdir, "d/e")
    yield "listing a removed one", attempt(os.listdir, here)
    yield "creating in it", attempt(os.open, "x", os.O_CREAT | os.O_WRONLY, dir_fd=here)
    yield "mkdir in it", attempt(os.mkdir, "x", dir_fd=here)
    yield "its links", os.fstat(here).st_nlink
    os.close(here)
    yield "made again", (attempt(os.mkdir, "d/e"), os.listdir("d/e"))
    yield "links of a directory", [facts("d"), attempt(os.mkdir, "d/g"), facts("d"), attempt(os.rmdir, "d/g"), facts("d")]


# ---- Attributes ----

@scenario
def modes():
    write("f")
    os.mkdir("d")
    os.mkfifo("p")
    for path in ("f", "d", "p"):
        for mode in (0, 0o777, 0o640, 0o1777, 0o4755, 0o2755, 0o6711, 0o7777):
            yield f"chmod {path} {mode:o}", (attempt(os.chmod, path, mode), facts(path))
        os.chmod(path, 0o755)
    os.symlink("f", "s")
    yield "through a symbolic link", (attempt(os.chmod, "s", 0o604), facts("f"), facts("s"))
    for mask in (0, 0o027, 0o777):
        os.umask(mask)
        os.close(os.open(f"f{mask}", os.O_CREAT | os.O_WRONLY, 0o6777))
        os.mkdir(f"d{mask}", 0o1777)
        os.mkfifo(f"p{mask}", 0o666)
        yield f"umask {mask:o}", (facts(f"f{mask}"), facts(f"d{mask}"), facts(f"p{mask}"))
    os.umask(0o022)


@scenario_of_root
def owners():
    os.mkdir("d")
    os.symlink("f", "s")
    for uid, gid in ((1, 2), (-1, 3), (4, -1), (-1, -1), (70000, 80000), (0, 0), (0xFFFFFFFE, 5)):
        write("f")
        os.chmod("f", 0o6755)
        yield f"file {uid}:{gid}", (attempt(os.chown, "f", uid, gid), facts("f"))
        yield f"directory {uid}:{gid}", (attempt(os.chown, "d", uid, gid), facts("d"))
        yield f"link {uid}:{gid}", (attempt(os.lchown, "s", uid, gid), facts("s"))
        os.unlink("f")
    write("f")
    os.chmod("f", 0o2644)
    yield "set-gid without execution stays", (attempt(os.chown, "f", 1, 1), facts("f"))


@scenario
def times():
    write("f")
    os.mkdir("d")
    os.symlink("f", "s")
    second = 10**9
    for path in ("f", "d"):
        for at, mt in ((1, 2), (123456789 * second + 987654321, second // 3), (-5 * second - 1, -1), (0, 0),
                       (7258118400 * second + 1, 4102444800 * second + 999999999)):
            yield f"{path} {at} {mt}", (attempt(os.utime, path, ns=(at, mt)), os.stat(path).st_atime_ns, os.stat(path).st_mtime_ns)
    yield "of a symbolic link", (attempt(os.utime, "s", ns=(5, 6), follow_symlinks=False), os.lstat("s").st_mtime_ns,
                                 os.stat("f").st_mtime_ns)
    before = time.time_ns()
    os.utime("f")
    yield "now", abs(os.stat("f").st_mtime_ns - before) < 5 * second
    fd = os.open("f", os.O_RDWR)
    yield "by descriptor", (attempt(os.utime, fd, ns=(7, 8)), os.fstat(fd).st_mtime_ns)
    os.write(fd, b"x")
    os.utime(fd, ns=(9, 10))
    os.close(fd)
    yield "set after a write and before close", os.stat("f").st_mtime_ns
    subprocess.run(["touch", "-a", "-d", "@11.5", "f"], check=True)
    yield "only atime", (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns)
    subprocess.run(["touch", "-m", "-d", "@12.25", "f"], check=True)
    yield "only mtime", (os.stat("f").st_atime_ns, os.stat("f").st_mtime_ns)


def changed(paths, do):
    """Which of mtime and ctime `do` changes, of each path."""
    def look():
        return {path: (os.lstat(path).st_mtime_ns, os.lstat(path).st_ctime_ns) for path in paths if os.path.lexists(path)}
    before = look()
    time.sleep(0.012)  # The kernel's clock for files ticks only every few milliseconds.
    do()
    after = look()
    return {path: [name for name, old, new in zip(("mtime", "ctime"), before[path], after[path]) if old < new]
            for path in before if path in after}


@scenario
def what_changes_times():
    os.makedirs("d/e")
    os.mkdir("o")
    write("d/f")

    def rewrite():
        with open("d/f", "r+b") as f:
            f.write(b"x")

    for label, do in {
            "create": lambda: write("d/new"), "overwrite": rewrite, "append": lambda: write("d/f", b"y", "ab"),
            "open to truncate": lambda: write("d/f", b""), "truncate up": lambda: os.truncate("d/f", 9999),
            "truncate down": lambda: os.truncate("d/f", 3), "chmod": lambda: os.chmod("d/f", 0o600),
            "utime": lambda: os.utime("d/f", ns=(10**18, 10**18)), "setxattr": lambda: os.setxattr("d/f", "user.x", b"1"),
            "removexattr": lambda: os.removexattr("d/f", "user.x"), "link": lambda: os.link("d/f", "d/g"),
            "unlink": lambda: os.unlink("d/g"), "rename": lambda: os.rename("d/f", "d/h"),
            "rename away": lambda: os.rename("d/h", "o/h"), "rename over": lambda: os.rename("o/h", "d/new"),
            "mkdir": lambda: os.mkdir("d/m"), "rmdir": lambda: os.rmdir("d/m"), "symlink": lambda: os.symlink("x", "d/s"),
            "mkfifo": lambda: os.mkfifo("d/p"), "move a directory": lambda: os.rename("d/e", "o/e"),
            "read": lambda: read("d/new"), "list": lambda: os.listdir("d"), "failed create": lambda: attempt(os.mkdir, "d/s"),
    }.items():
        yield label, changed(["d", "o", "d/f", "d/h", "d/new", "d/e", "o/e", "o/h"], do)


@scenario
def attributes():
    write("f")
    os.mkdir("d")
    os.symlink("f", "s")
    for path in ("f", "d"):
        yield f"{path} none", (os.listxattr(path), attempt(os.getxattr, path, "user.no"))
        yield f"{path} set", (attempt(os.setxattr, path, "user.a", b"1"), os.getxattr(path, "user.a"), os.listxattr(path))
        yield f"{path} binary", (attempt(os.setxattr, path, "user.b", bytes(range(256))), os.getxattr(path, "user.b"))
        yield f"{path} empty", (attempt(os.setxattr, path, "user.c", b""), os.getxattr(path, "user.c"))
        yield f"{path} create", attempt(os.setxattr, path, "user.a", b"2", os.XATTR_CREATE)
        yield f"{path} replace", (attempt(os.setxattr, path, "user.a", b"2", os.XATTR_REPLACE), os.getxattr(path, "user.a"))
        yield f"{path} replace nothing", attempt(os.setxattr, path, "user.no", b"2", os.XATTR_REPLACE)
        yield f"{path} list", sorted(os.listxattr(path))
        yield f"{path} remove", (attempt(os.removexattr, path, "user.a"), attempt(os.removexattr, path, "user.a"))
        yield f"{path} longest name", (attempt(os.setxattr, path, "user." + "n" * 250, b"x"), sorted(os.listxattr(path)))
        yield f"{path} too long a name", attempt(os.setxattr, path, "user." + "n" * 251, b"x")
        yield f"{path} no prefix", attempt(os.setxattr, path, "plain", b"x")
        yield f"{path} unknown prefix", attempt(os.setxattr, path, "other.x", b"x")
        yield f"{path} 2000 bytes", (attempt(os.setxattr, path, "user.large", b"z" * 2000), len(os.getxattr(path, "user.large")))
        yield f"{path} over the cap of all systems", attempt(os.setxattr, path, "user.huge", b"z" * 65537)
    yield "of a symbolic link", attempt(os.setxattr, "s", "user.a", b"1", follow_symlinks=False)
    yield "through it", (attempt(os.setxattr, "s", "user.via", b"1"), os.getxattr("f", "user.via"))
    os.rename("f", "g")
    os.link("g", "h")
    yield "they stay", (os.getxattr("g", "user.via"), os.getxattr("h", "user.via"))
    fd = os.open("h", os.O_RDONLY)
    yield "by descriptor", (os.getxattr(fd, "user.via"), attempt(os.setxattr, fd, "user.fd", b"2"), os.getxattr("g", "user.fd"))
    os.close(fd)


OWNER, USER, GROUP, NAMED_GROUP, MASK, OTHERS = 1, 2, 4, 8, 16, 32
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, permissions, *(who or [0xFFFFFFFF]))
                                           for tag, permissions, *who in entries)


def lists(path):
    return facts(path), *(attempt(os.getxattr, path, name) for name in (ACCESS, DEFAULT))


@scenario_of_root
def access_control_lists():
    for path in ("f", "d"):
        write("f") if path == "f" else os.mkdir("d")
        full = acl((OWNER, 7), (USER, 6, 12), (GROUP, 5), (NAMED_GROUP, 3, 13), (MASK, 6), (OTHERS, 1))
        yield f"{path} none", lists(path)
        yield f"{path} set", (attempt(os.setxattr, path, ACCESS, full), lists(path), sorted(os.listxattr(path)))
        yield f"{path} chmod", (attempt(os.chmod, path, 0o4731), lists(path))
        yield f"{path} minimal", (attempt(os.setxattr, path, ACCESS, acl((OWNER, 6), (GROUP, 4), (OTHERS, 0))), lists(path))
        yield f"{path} set again", (attempt(os.setxattr, path, ACCESS, full), lists(path))
        yield f"{path} removed", (attempt(os.removexattr, path, ACCESS), lists(path))
        yield f"{path} removed again", (attempt(os.removexattr, path, ACCESS), lists(path))
        yield f"{path} no mask", attempt(os.setxattr, path, ACCESS, acl((OWNER, 7), (USER, 6, 12), (GROUP, 5), (OTHERS, 1)))
        yield f"{path} no list", (attempt(os.setxattr, path, ACCESS, b"x"), attempt(os.setxattr, path, ACCESS, b""))
        yield f"{path} default", (attempt(os.setxattr, path, DEFAULT, full), lists(path))
        yield f"{path} empty default", (attempt(os.setxattr, path, DEFAULT, acl()), lists(path))
    os.symlink("f", "s")
    yield "symbolic link", attempt(os.setxattr, "s", ACCESS, full, follow_symlinks=False)
    inherited = acl((OWNER, 7), (USER, 7, NOBODY), (GROUP, 5), (MASK, 7), (OTHERS, 5))
    os.setxattr("d", DEFAULT, inherited)
    os.umask(0o077)
    os.mkdir("d/sub", 0o770)
    os.mkdir("d/sub/sub")
    write("d/f")
    os.close(os.open("d/exec", os.O_CREAT | os.O_WRONLY, 0o711))
    os.mkfifo("d/fifo", 0o666)
    os.symlink("f", "d/s")
    for path in ("d/sub", "d/sub/sub", "d/f", "d/exec", "d/fifo"):
        yield f"inherited by {path}", lists(path)
    yield "not by links", facts("d/s")
    os.removexattr("d", DEFAULT)
    write("d/after")
    yield "umask again", lists("d/after")
    os.umask(0o022)


@scenario_of_root
def access_by_lists():
    write("f")
    os.chown("f", 5, 5)
    os.chmod("f", 0o640)
    open_it = lambda flags: as_user(lambda: os.close(os.open("f", flags)))
    yield "before", open_it(os.O_RDONLY)
    os.setxattr("f", ACCESS, acl((OWNER, 6), (USER, 4, NOBODY), (GROUP, 0), (MASK, 4), (OTHERS, 0)))
    yield "may read", (open_it(os.O_RDONLY), open_it(os.O_WRONLY))
    os.setxattr("f", ACCESS, acl((OWNER, 6), (USER, 6, NOBODY), (GROUP, 0), (MASK, 6), (OTHERS, 0)))
    yield "may write", (open_it(os.O_RDONLY), open_it(os.O_RDWR))
    os.chmod("f", 0o644)
    yield "masked", (open_it(os.O_RDONLY), open_it(os.O_WRONLY))
    os.setxattr("f", ACCESS, acl((OWNER, 6), (USER, 0, NOBODY), (GROUP, 6), (MASK, 6), (OTHERS, 6)))
    yield "not even as others", (open_it(os.O_RDONLY), open_it(os.O_WRONLY))
    yield "not his to change", as_user(lambda: os.setxattr("f", ACCESS, acl((OWNER, 6), (GROUP, 6), (OTHERS, 6))))
    write("mine")
    os.chown("mine", NOBODY, 5)
    os.chmod("mine", 0o2750)
    yield "set-gid of a foreign group", (as_user(lambda: os.setxattr("mine", ACCESS, acl((OWNER, 7), (USER, 7, 9), (GROUP, 5), (MASK, 5), (OTHERS, 0)))), lists("mine"))


@scenario_of_root
def other_attributes():
    write("f")
    for name in ("trusted.t", "security.s"):
        yield f"{name} set", (attempt(os.setxattr, "f", name, b"1"), attempt(os.getxattr, "f", name))
        yield f"{name} of a user", (as_user(lambda: os.getxattr("f", name)), as_user(lambda: os.setxattr("f", name, b"2")))
    yield "listed", sorted(os.listxattr("f"))
    yield "listed for a user", as_user(lambda: sorted(os.listxattr("f")))
    yield "of a link", (os.symlink("f", "s"), attempt(os.setxattr, "s", "trusted.t", b"1", follow_symlinks=False))
    capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service, effective
    yield "capability", (attempt(os.setxattr, "f", "security.capability", capability), os.getxattr("f", "security.capability"))
    fd = os.open("f", os.O_WRONLY)
    os.write(fd, b"changed")
    os.close(fd)
    yield "a write takes it", attempt(os.getxattr, "f", "security.capability")


@scenario_of_root
def set_gid_directories():
    os.mkdir("d")
    os.chown("d", 0, 1234)
    os.chmod("d", 0o2775)
    write("d/f")
    os.mkdir("d/e")
    os.mkdir("d/e/f")
    os.symlink("x", "d/s")
    os.mkfifo("d/p")
    os.mknod("d/b", stat.S_IFREG | 0o644)
    yield "children", [(path, facts(path)) for path in ("d/f", "d/e", "d/e/f", "d/s", "d/p", "d/b")]
    os.mkdir("other")
    yield "moved in", [os.rename("other", "d/other"), facts("d/other")]
    os.chmod("d", 0o775)
    os.mkdir("d/after")
    yield "no longer", facts("d/after")
    os.chmod("d", 0o777)
    yield "made by a user", [as_user(lambda: write("d/his")), facts("d/his"), as_user(lambda: os.mkdir("d/hers")), facts("d/hers"),
                             as_user(lambda: os.symlink("x", "d/link")), facts("d/link")]
    os.chmod("d", 0o2777)
    yield "by a user in it", [as_user(lambda: write("d/his2")), facts("d/his2"), as_user(lambda: os.mkdir("d/hers2")), facts("d/hers2")]


@scenario_of_root
def permissions():
    for mode in (0o700, 0o500, 0o311, 0o555, 0o777, 0o1777):
        directory = f"d{mode:o}"
        os.mkdir(directory)
        write(f"{directory}/f", b"#!/bin/sh\n")
        os.mkdir(f"{directory}/e")
        os.chmod(directory, mode)
        f = f"{directory}/f"
        for label, call in {
                "list": lambda d=directory: sorted(os.listdir(d)), "stat": lambda f=f: os.stat(f).st_size,
                "read": lambda f=f: read(f), "write": lambda f=f: write(f, b"x"), "append": lambda f=f: write(f, b"x", "ab"),
                "create": lambda d=directory: write(f"{d}/his"), "mkdir": lambda d=directory: os.mkdir(f"{d}/her"),
                "chmod": lambda f=f: os.chmod(f, 0o777), "chown": lambda f=f: os.chown(f, 65534, 65534),
                "utime": lambda f=f: os.utime(f, (1, 1)), "utime now": lambda f=f: os.utime(f),
                "setxattr": lambda f=f: os.setxattr(f, "user.x", b"1"), "truncate": lambda f=f: os.truncate(f, 1),
                "link": lambda d=directory: os.link(f"{d}/f", f"{d}/g"), "rename": lambda f=f: os.rename(f, f + "2"),
                "own rename": lambda d=directory: os.rename(f"{d}/his", f"{d}/his2"),
                "unlink": lambda f=f: os.unlink(f), "own unlink": lambda d=directory: os.unlink(f"{d}/his2"),
                "rmdir": lambda d=directory: os.rmdir(f"{d}/e"), "own rmdir": lambda d=directory: os.rmdir(f"{d}/her"),
                "access": lambda f=f: (os.access(f, os.R_OK), os.access(f, os.W_OK), os.access(f, os.X_OK))}.items():
            yield f"{mode:o} {label}", as_user(call)
    write("mine", b"data")
    os.chown("mine", 65534, 65534)
    for mode in (0o400, 0o200, 0o000, 0o640, 0o604, 0o077):
        os.chmod("mine", mode)
        yield f"own file {mode:o}", (as_user(lambda: read("mine")), as_user(lambda: write("mine", b"data")))
    os.chown("mine", 0, 65534)
    os.chmod("mine", 0o640)
    yield "by its group", (as_user(lambda: read("mine")), as_user(lambda: write("mine", b"x")), as_user(lambda: read("mine"), gid=1))
    os.chown("mine", 65534, 0)
    os.chmod("mine", 0o6755)
    yield "a write takes set-id away", (as_user(lambda: write("mine", b"x", "ab")), facts("mine"))
    yield "chmod of a group he is not in", (as_user(lambda: os.chmod("mine", 0o2755)), facts("mine"))
    yield "giving away", (as_user(lambda: os.chown("mine", 1, -1)), as_user(lambda: os.chown("mine", -1, 65534)), facts("mine"))


# ---- Contents ----

@scenario
def open_flags():
    write("f", b"0123456789")
    os.mkdir("d")
    fd = os.open("f", os.O_RDONLY)
    yield "write to O_RDONLY", attempt(os.write, fd, b"x")
    yield "ftruncate of O_RDONLY", attempt(os.ftruncate, fd, 1)
    os.close(fd)
    fd = os.open("f", os.O_WRONLY)
    yield "read of O_WRONLY", attempt(os.read, fd, 1)
    os.close(fd)
    yield "exclusively, existing", attempt(os.open, "f", os.O_CREAT | os.O_EXCL | os.O_RDWR)
    yield "create without write", (attempt(lambda: os.close(os.open("new", os.O_CREAT | os.O_RDONLY, 0o640))), facts("new"))
    yield "create without permission for oneself", attempt(lambda: os.write(os.open("none", os.O_CREAT | os.O_WRONLY, 0), b"works"))
    yield "a directory to write", (attempt(os.open, "d", os.O_WRONLY), attempt(os.open, "d", os.O_RDWR))
    yield "a directory to create", attempt(os.open, "d", os.O_CREAT | os.O_RDONLY)
    yield "O_DIRECTORY of a file", attempt(os.open, "f", os.O_DIRECTORY)
    yield "read of a directory", attempt(lambda: os.read(os.open("d", os.O_RDONLY), 10))
    first, second = (os.open("f", os.O_WRONLY | os.O_APPEND) for _ in range(2))
    for number in range(20):
        os.write(first if number % 2 else second, f"<{number}>".encode())
    os.lseek(first, 0, os.SEEK_SET)
    os.write(first, b"end")
    yield "two that append", read("f")
    yield "pwrite appends", (os.pwrite(first, b"!", 0), read("f")[-5:])
    os.close(first)
    os.close(second)
    os.truncate("f", 3)
    with open("f", "r+b", buffering=0) as f:
        f.seek(0, 2)
        f.write(b"tail")
        yield "read and write at one position", (f.tell(), f.seek(1), f.read(3), f.write(b"XY"), f.tell())
    yield "contents", read("f")
    yield "O_TRUNC", (attempt(lambda: os.close(os.open("f", os.O_WRONLY | os.O_TRUNC))), facts("f"))
    for flag in ("O_SYNC", "O_DSYNC", "O_DIRECT"):
        fd = os.open(flag, os.O_RDWR | os.O_CREAT | getattr(os, flag))
        aligned = mmap.mmap(-1, 8192)
        aligned.write(b"q" * 8192)
        yield flag, (attempt(os.write, fd, aligned), hashlib.sha256(read(flag)).hexdigest())
        os.close(fd)


@scenario
def truncate():
    write("f", b"abc" * 100000)
    for size in (299999, 4097, 4096, 4095, 100, 5000, 1, 0, 200000, 1 << 21, 7):
        yield f"to {size}", (attempt(os.truncate, "f", size), facts("f"), hashlib.sha256(read("f")).hexdigest())
    fd = os.open("f", os.O_RDWR)
    os.pwrite(fd, b"secret" * 2000, 0)
    os.ftruncate(fd, 3)
    os.ftruncate(fd, 12000)
    yield "what was cut off does not come back", os.pread(fd, 12000, 0) == b"sec" + bytes(11997)
    yield "negative", attempt(os.ftruncate, fd, -1)
    os.close(fd)
    os.mkdir("d")
    os.mkfifo("p")
    yield "directory, fifo, nothing", (attempt(os.truncate, "d", 0), attempt(os.truncate, "p", 0), attempt(os.truncate, "no", 0))
    yield "empty through a fresh name", (write("e", b""), facts("e"), read("e"))
    big = 1 << 40
    yield "very large", (attempt(os.truncate, "e", big), facts("e"))
    fd = os.open("e", os.O_RDWR)
    os.pwrite(fd, b"end", big - 3)
    yield "its end", (os.pread(fd, 10, big - 5), os.pread(fd, 5, big >> 1), facts("e"))
    os.close(fd)


@scenario
def holes():
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    pieces = [(10 << 20, b"far"), (100, b"near"), ((4 << 20) - 2, b"across"), (4096, b"page"), (70 << 20, b"next chunk")]
    for at, piece in pieces:
        yield f"write at {at}", (os.pwrite(fd, piece, at), os.fstat(fd).st_size)
    yield "whole", hashlib.sha256(read("f")).hexdigest()
    yield "in a hole", os.pread(fd, 100, 5 << 20)
    yield "over an edge", os.pread(fd, 40, (10 << 20) - 20)
    yield "behind the end", (os.pread(fd, 10, 71 << 20), os.pread(fd, 100, (70 << 20) + 8))
    yield "less than full", os.fstat(fd).st_blocks * 512 < (70 << 20)
    yield "seek behind the end", (attempt(os.lseek, fd, 80 << 20, os.SEEK_DATA), attempt(os.lseek, fd, 80 << 20, os.SEEK_HOLE))
    yield "end is a hole", os.lseek(fd, (70 << 20) + 1, os.SEEK_HOLE)
    os.close(fd)


def pieces_of(fd):
    """Where data is, as lseek tells."""
    found, at = [], 0
    while isinstance(start := attempt(os.lseek, fd, at, os.SEEK_DATA), int):
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, at))
    return found, start


@scenario
def allocate():
    KEEP, PUNCH, ZERO = 1, 2, 16
    page = 1 << 16  # Of any file system: where data begins and ends is told in its blocks.
    for base in (100, 20 * page):
        fd = os.open(f"f{base}", os.O_RDWR | os.O_CREAT)
        os.pwrite(fd, b"x" * base, 0)
        yield f"{base} keep", (attempt(fallocate, fd, KEEP, 0, base + 5000), facts(fd))
        yield f"{base} extend", (attempt(fallocate, fd, 0, 0, base + 5000), facts(fd), os.pread(fd, 99, base + 4990))
        yield f"{base} within", (attempt(fallocate, fd, 0, 0, 10), facts(fd))
        yield f"{base} zero", (attempt(fallocate, fd, ZERO, 10, 20), os.pread(fd, 50, 0), facts(fd))
        yield f"{base} zero beyond", (attempt(fallocate, fd, ZERO, base + 6000, 20), facts(fd))
        yield f"{base} zero, kept", (attempt(fallocate, fd, ZERO | KEEP, base + 7000, 20), facts(fd))
        yield f"{base} punch", (attempt(fallocate, fd, PUNCH | KEEP, 50, 30), os.pread(fd, 50, 40), facts(fd))
        yield f"{base} punch beyond", (attempt(fallocate, fd, PUNCH | KEEP, 1 << 40, 30), facts(fd))
        yield f"{base} punch without keep", attempt(fallocate, fd, PUNCH, 0, 30)
        yield f"{base} no length", attempt(fallocate, fd, 0, 0, 0)
        yield f"{base} negative", (attempt(fallocate, fd, 0, -1, 5), attempt(fallocate, fd, 0, 0, -5))
        yield f"{base} written after", (os.pwrite(fd, b"new", 60), os.pread(fd, 50, 40))
        yield f"{base} whole", hashlib.sha256(read(f"f{base}")).hexdigest()
        os.close(fd)
    fd = os.open("mapped", os.O_RDWR | os.O_CREAT)
    os.pwrite(fd, b"y" * 4 * page, 0)
    with mmap.mmap(fd, 4 * page) as mapped:
        before = mapped[page], mapped[2 * page]
        fallocate(fd, PUNCH | KEEP, page, page)
        yield "seen by a mapping", (before, mapped[page], mapped[2 * page])
    yield "pieces", pieces_of(fd)
    yield "in a hole", (os.lseek(fd, page + 5, os.SEEK_DATA), os.lseek(fd, page + 5, os.SEEK_HOLE))
    fallocate(fd, PUNCH | KEEP, 0, 4 * page)
    yield "all of it", (pieces_of(fd), os.fstat(fd).st_blocks, facts(fd))
    os.pwrite(fd, b"unsynced" * 8192, page)
    yield "data that is not synced", pieces_of(fd)
    yield "past the end", (attempt(os.lseek, fd, 4 * page, os.SEEK_DATA), attempt(os.lseek, fd, 4 * page, os.SEEK_HOLE))
    os.close(fd)
    fd = os.open("mapped", os.O_RDONLY)
    yield "read-only", attempt(fallocate, fd, 0, 0, 10)
    os.close(fd)
    os.mkdir("d")
    fd = os.open("d", os.O_RDONLY)
    yield "directory", attempt(fallocate, fd, 0, 0, 10)
    os.close(fd)


@scenario
def random_contents():
    dice = random.Random(7)
    noise = dice.randbytes(1 << 20)
    fd = os.open("f", os.O_RDWR | os.O_CREAT)
    for number in range(300):
        at, length = dice.randrange(6 << 20), dice.choice([1, 511, 4096, 4097, 100000, 1 << 20])
        os.pwrite(fd, noise[:length], at)
        if number % 20 == 0:
            os.ftruncate(fd, dice.randrange(6 << 20))
        if number % 30 == 0:
            os.fsync(fd)
        if number % 10 == 0:
            yield f"read {number}", hashlib.sha256(os.pread(fd, 1 << 20, at // 2)).hexdigest()
    yield "zero bytes", os.pwrite(fd, b"", 5)
    yield "writev", (os.pwritev(fd, [b"a", b"bc", b"", noise[:5000]], 33), hashlib.sha256(os.pread(fd, 6000, 0)).hexdigest())
    os.close(fd)
    yield "whole", hashlib.sha256(read("f")).hexdigest()


@scenario
def copies_and_mappings():
    write("f", bytes(range(256)) * 1000)
    source, target = os.open("f", os.O_RDONLY), os.open("g", os.O_RDWR | os.O_CREAT)
    yield "copy_file_range", (os.copy_file_range(source, target, 100000, 50, 7), read("g") == bytes(7) + read("f")[50:100050])
    os.ftruncate(target, 0)
    yield "sendfile", (os.sendfile(target, source, 10, 1000), read("g") == read("f")[10:1010])
    os.ftruncate(target, 8192)
    with mmap.mmap(target, 8192) as mapped:
        mapped[4090:4100] = b"0123456789"
        mapped.flush()
        yield "written by a mapping", (read("g")[4085:4105], facts("g"))
        os.pwrite(target, b"by write", 5000)
        yield "seen by the mapping", mapped[5000:5008]
    with mmap.mmap(source, 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
        yield "private mapping", hashlib.sha256(mapped).hexdigest()
    os.close(source)
    os.close(target)


@scenario
def programs():
    with open("/bin/true", "rb") as f:
        write("true", f.read())
    yield "not executable", attempt(subprocess.call, ["./true"])
    os.chmod("true", 0o755)
    yield "runs", attempt(subprocess.call, ["./true"])
    write("script", b"#!/bin/sh\necho $0 \"$@\"\n")
    os.chmod("script", 0o755)
    yield "script", subprocess.run(["./script", "a b"], capture_output=True, check=False).stdout
    fd = os.open("true", os.O_WRONLY)
    yield "open to write", attempt(subprocess.call, ["./true"])
    os.close(fd)
    with open("/bin/sleep", "rb") as f:
        write("sleep", f.read())
    os.chmod("sleep", 0o755)
    with subprocess.Popen(["./sleep", "100"]) as child:
        yield "write while it runs", attempt(os.open, "sleep", os.O_WRONLY)
        yield "unlink while it runs", attempt(os.unlink, "sleep")
        child.send_signal(signal.SIGKILL)


@scenario
def locks():
    write("f")
    first, second = os.open("f", os.O_RDWR), os.open("f", os.O_RDWR)
    yield "flock", (attempt(fcntl.flock, first, fcntl.LOCK_EX | fcntl.LOCK_NB),
                    attempt(fcntl.flock, second, fcntl.LOCK_SH | fcntl.LOCK_NB), attempt(fcntl.flock, first, fcntl.LOCK_UN),
                    attempt(fcntl.flock, second, fcntl.LOCK_SH | fcntl.LOCK_NB))
    yield "fcntl", attempt(fcntl.lockf, first, fcntl.LOCK_EX | fcntl.LOCK_NB, 10, 5)
    os.close(first)
    os.close(second)


# ---- Directories, devices, the file system ----

@scenario
def listing():
    os.mkdir("d")
    expected = {f"entry-{number:04d}".encode() for number in range(1500)}
    for name in expected:
        os.close(os.open(b"d/" + name, os.O_CREAT | os.O_WRONLY))
    stream = DirectoryStream("d")
    names, positions = [], []
    while (positions.append(stream.tell()), name := stream.read())[1] is not None:
        names.append(name)
    yield "all, once", (set(names) == expected | {b".", b".."}, len(names))
    dice = random.Random(3)
    for number in dice.sample(range(len(names)), 20):
        stream.seek(positions[number])
        yield f"from position {number}", stream.rest() == names[number:]
    stream.rewind()
    write("d/added")
    stream.rewind()
    yield "rewound: what was added", b"added" in stream.rest()
    stream.rewind()
    seen = []
    while (name := stream.read()) is not None:
        if name not in (b".", b".."):
            seen.append(name)
            os.unlink(b"d/" + name)
    stream.close()
    yield "removed while listing: each once", (set(seen) == expected | {b"added"}, len(seen), os.listdir("d"))
    os.symlink("x", "d/s")
    os.mkfifo("d/p")
    os.mkdir("d/d")
    write("d/f")
    with os.scandir("d") as entries:
        yield "types", sorted((e.name, e.is_file(), e.is_dir(), e.is_symlink(), e.inode() == os.lstat(e.path).st_ino) for e in entries)
    stream = DirectoryStream("d")
    yield "dots", sorted(stream.rest())[:2]
    stream.close()
    yield "of a file", attempt(os.listdir, "d/f")


@scenario
def special_files():
    os.mkfifo("p", 0o640)
    yield "fifo", (facts("p"), attempt(os.open, "p", os.O_WRONLY | os.O_NONBLOCK))
    reader = os.open("p", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open("p", os.O_WRONLY)
    os.write(writer, b"through")
    yield "through it", os.read(reader, 100)
    os.close(reader)
    os.close(writer)
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("socket")
        server.listen()
        yield "socket", (kind("socket"), attempt(client.connect, "socket"), attempt(os.open, "socket", os.O_RDONLY))
    if AS_ROOT:
        yield "devices", (attempt(os.mknod, "c", stat.S_IFCHR | 0o600, os.makedev(1, 3)), facts("c"),
                          attempt(os.mknod, "b", stat.S_IFBLK | 0o600, os.makedev(259, 70000)), facts("b"))
    yield "regular by mknod", (attempt(os.mknod, "r", stat.S_IFREG | 0o604), facts("r"), attempt(write, "r"), read("r"))


@scenario
def file_system():
    write("f")
    status = os.statvfs(".")
    yield "longest name", status.f_namemax
    yield "makes sense", (status.f_bfree <= status.f_blocks, status.f_bavail <= status.f_bfree, status.f_blocks > 0, status.f_frsize > 0)
    yield "the same by descriptor", os.statvfs(os.open("f", os.O_RDONLY)).f_namemax
    fd = os.open("f", os.O_RDWR)
    yield "syncs", (attempt(os.fsync, fd), attempt(os.fdatasync, fd), attempt(os.fsync, os.open(".", os.O_DIRECTORY)))
    os.close(fd)
    yield "inode numbers stay", os.stat("f").st_ino == os.lstat("f").st_ino == next(os.scandir(".")).inode()
