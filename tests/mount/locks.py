#!/usr/bin/env python3
"""What locks.sh does on files of two mounts, one call each.

  hold KIND PATH READY          lock (KIND: fcntl, flock, ofd), make READY, keep it until killed, or READY.end is there;
                                then write through it, and say in READY.wrote how that ended
  wait KIND PATH READY          tells READY.waits, locks waiting, tells READY with how long it took, ends
  try KIND PATH                 exit 0: got it; 1: it is taken
  facts ONE TWO                 conflicts, ranges, F_GETLK, closes, signals, deadlocks, between two directories
"""
import errno, fcntl, os, signal, struct, sys, threading, time

F_OFD_SETLK, F_OFD_SETLKW = 37, 38
FLOCK = "hhqqi4x"  # type, whence, start, len, pid


def record(descriptor, command, kind, start=0, length=0):
    packed = fcntl.fcntl(descriptor, command, struct.pack(FLOCK, kind, os.SEEK_SET, start, length, 0))
    return struct.unpack(FLOCK, packed)


def lock(kind, descriptor, waits):
    if kind == "flock":
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
    elif kind == "ofd":
        record(descriptor, F_OFD_SETLKW if waits else F_OFD_SETLK, fcntl.F_WRLCK)
    else:
        record(descriptor, fcntl.F_SETLKW if waits else fcntl.F_SETLK, fcntl.F_WRLCK)


def taken(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise
    return False


def tell(path, text=""):
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def hold(kind, path, ready):
    descriptor = os.open(path, os.O_RDWR)
    lock(kind, descriptor, waits=True)
    tell(ready)
    while not os.path.exists(ready + ".end"):
        time.sleep(0.02)
    try:
        os.write(descriptor, b"behind")
        os.fsync(descriptor)
        tell(ready + ".wrote", "written")
    except OSError as error:
        tell(ready + ".wrote", errno.errorcode[error.errno])


def wait(kind, path, ready):
    descriptor = os.open(path, os.O_RDWR)
    tell(ready + ".waits")
    began = time.monotonic()
    lock(kind, descriptor, waits=True)
    tell(ready, "%.3f" % (time.monotonic() - began))


def expect(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: {got!r}, not {wanted!r}")


def in_child(action):
    """Runs it in a process of its own; returns its pid and a function that waits for what it returns."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        try:
            result = repr(action())
        except BaseException as error:
            result = repr(getattr(error, "errno", None) or str(error))
        os.write(write, result.encode())
        os._exit(0)
    os.close(write)

    def result():
        with os.fdopen(read) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
        return eval(text) if text else None
    return child, result


def ask(action):
    return in_child(action)[1]()


def until(what, condition):
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            sys.exit("gave up waiting: " + what)
        time.sleep(0.02)


def waits_in_kernel(pid):
    # A FUSE request that was not answered: request_wait_answer.
    try:
        with open(f"/proc/{pid}/wchan") as file:
            if "request_wait" in file.read() or "fuse" in open(f"/proc/{pid}/wchan").read():
                return True
        return open(f"/proc/{pid}/stat").read().split()[2] in "SD"
    except OSError:
        return False


def facts(one, two):
    here, there = os.path.join(one, "facts"), os.path.join(two, "facts")
    a = os.open(here, os.O_RDWR | os.O_CREAT)
    os.write(a, b"x" * 100)
    os.fsync(a)

    # Ranges and F_GETLK, of a process on the other mount.
    record(a, fcntl.F_SETLK, fcntl.F_WRLCK, 10, 10)
    record(a, fcntl.F_SETLK, fcntl.F_RDLCK, 50, 0)

    def other_side():
        b = os.open(there, os.O_RDWR)
        expect("below", taken(record, b, fcntl.F_SETLK, fcntl.F_WRLCK, 0, 10), False)
        expect("overlapping", taken(record, b, fcntl.F_SETLK, fcntl.F_RDLCK, 5, 10), True)
        expect("shared", taken(record, b, fcntl.F_SETLK, fcntl.F_RDLCK, 60, 10), False)
        expect("exclusive over shared", taken(record, b, fcntl.F_SETLK, fcntl.F_WRLCK, 60, 10), True)
        got = record(b, fcntl.F_GETLK, fcntl.F_RDLCK, 0, 0)
        expect("F_GETLK", got[:4], (fcntl.F_WRLCK, os.SEEK_SET, 10, 10))
        expect("F_GETLK to the end", record(b, fcntl.F_GETLK, fcntl.F_WRLCK, 55, 5)[:4], (fcntl.F_RDLCK, 0, 50, 0))
        expect("F_GETLK of nothing", record(b, fcntl.F_GETLK, fcntl.F_WRLCK, 30, 5)[0], fcntl.F_UNLCK)
        expect("flock beside fcntl", taken(fcntl.flock, b, fcntl.LOCK_EX | fcntl.LOCK_NB), False)
        return got[4]
    expect("F_GETLK's pid", ask(other_side), os.getpid())

    # Split by unlocking the middle; joined again.
    record(a, fcntl.F_SETLK, fcntl.F_UNLCK, 14, 2)

    def middle():
        b = os.open(there, os.O_RDWR)
        return [taken(record, b, fcntl.F_SETLK, fcntl.F_WRLCK, at, 1) for at in (13, 14, 15, 16)]
    expect("split", ask(middle), [True, False, False, True])
    # Any close of the file takes all of the process's locks.
    os.close(os.open(here, os.O_RDONLY))

    def whole(kind="fcntl"):
        b = os.open(there, os.O_RDWR)
        return taken(lock, kind, b, False)
    expect("after a close", ask(whole), False)

    # A read lock of a descriptor that only reads ends with its close, too.
    reader = os.open(here, os.O_RDONLY)
    record(reader, fcntl.F_SETLK, fcntl.F_RDLCK)
    expect("a reader's lock", ask(whole), True)
    os.close(reader)
    expect("a reader's lock after its close", ask(whole), False)

    # flock belongs to the open file description: it ends with the last of its descriptors.
    fcntl.flock(a, fcntl.LOCK_EX)
    copy = os.dup(a)
    os.close(a)
    expect("flock with one descriptor left", ask(lambda: whole("flock")), True)
    os.close(copy)
    until("flock ends with the last close", lambda: not ask(lambda: whole("flock")))
    # So do locks of open file descriptions.
    a = os.open(here, os.O_RDWR)
    record(a, F_OFD_SETLK, fcntl.F_WRLCK)
    os.close(os.open(here, os.O_RDONLY))
    expect("an OFD lock after another close", ask(whole), True)
    os.close(a)
    until("an OFD lock ends with the last close", lambda: not ask(whole))

    # A waiter wakes when it is free, soon, and sees what was written.
    a = os.open(here, os.O_RDWR)
    lock("fcntl", a, True)

    def waits():
        b = os.open(there, os.O_RDWR)
        os.pread(b, 100, 0)
        record(b, fcntl.F_SETLKW, fcntl.F_WRLCK)
        return time.monotonic(), os.pread(b, 100, 0)
    pid, waited = in_child(waits)
    time.sleep(0.3)
    os.pwrite(a, b"under the lock", 0)
    unlocked = time.monotonic()
    record(a, fcntl.F_SETLK, fcntl.F_UNLCK)
    woke, seen = waited()
    expect("seen under the lock", seen[:14], b"under the lock")
    print("woken after %.0f ms" % ((woke - unlocked) * 1000))

    # A signal interrupts the wait; so does death.
    lock("fcntl", a, True)

    def interrupted():
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.siginterrupt(signal.SIGALRM, True)
        b = os.open(there, os.O_RDWR)

        class Signalled(Exception):
            pass

        def handler(*_):
            raise Signalled
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        began = time.monotonic()
        try:
            record(b, fcntl.F_SETLKW, fcntl.F_WRLCK)
        except Signalled:
            return "EINTR" if time.monotonic() - began < 5 else "late"
        return "locked"
    expect("a signal", ask(interrupted), "EINTR")
    pid, waited = in_child(waits)
    time.sleep(0.3)
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    expect("killed while it waits", waited(), None)
    expect("killed at once", time.monotonic() - began < 5, True)
    record(a, fcntl.F_SETLK, fcntl.F_UNLCK)
    expect("nothing left of those who waited", ask(whole), False)

    # Two files, two mounts, in a circle: the one who closes it is told. flock is not asked.
    second_here, second_there = here + "2", there + "2"
    os.close(os.open(second_here, os.O_RDWR | os.O_CREAT))
    lock("fcntl", a, True)
    got, give = os.pipe()

    def closes_circle():
        b2, b = os.open(second_there, os.O_RDWR), os.open(there, os.O_RDWR)
        lock("fcntl", b2, True)
        os.write(give, b"!")
        time.sleep(0.7)
        lock("fcntl", b, True)
    pid, other = in_child(closes_circle)
    os.read(got, 1)
    a2 = os.open(second_here, os.O_RDWR)
    began = time.monotonic()
    lock("fcntl", a2, True)  # Granted once the other has been refused, and has ended.
    print("a deadlock of two mounts took %.0f ms" % ((time.monotonic() - began - 0.7) * 1000))
    expect("who closed the circle", other(), errno.EDEADLK)
    os.close(a2)
    os.close(a)


def counter(path, rounds):
    """Reads, adds one, writes, under a lock each time."""
    descriptor = os.open(path, os.O_RDWR)
    for _ in range(int(rounds)):
        record(descriptor, fcntl.F_SETLKW, fcntl.F_WRLCK)
        value = int(os.pread(descriptor, 20, 0) or b"0")
        os.pwrite(descriptor, b"%020d" % (value + 1), 0)
        record(descriptor, fcntl.F_SETLK, fcntl.F_UNLCK)


def database(path, rounds):
    import sqlite3
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("pragma journal_mode=delete")
    for _ in range(int(rounds)):
        connection.execute("begin immediate")
        value, = connection.execute("select value from counter").fetchone()
        connection.execute("update counter set value = ?", (value + 1,))
        connection.execute("insert into log values (?, ?)", (os.getpid(), value))
        connection.execute("commit")
    connection.close()


def appends(path, letter, rounds):
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    for at in range(int(rounds)):
        os.write(descriptor, (letter * 99 + "\n").encode())
        if at % 10 == 0:
            os.fsync(descriptor)


def attempt(kind, path):
    descriptor = os.open(path, os.O_RDWR)
    sys.exit(1 if taken(lock, kind, descriptor, False) else 0)


if __name__ == "__main__":
    {"hold": hold, "wait": wait, "try": attempt, "facts": facts, "counter": counter, "database": database,
     "appends": appends}[sys.argv[1]](*sys.argv[2:])
