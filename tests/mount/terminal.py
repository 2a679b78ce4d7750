"""Runs a command on a terminal of its own: what it shows there, and what keys do to it.

    terminal.py PATTERN ACTION COMMAND...

Waits until the terminal shows PATTERN (a regular expression over all that was written so far), then does ACTION: a key
to be typed (q), a signal by name (INT), or "none". Prints what the terminal was sent, and exits as the command
does; with 99 if PATTERN never came, or if the terminal's mode afterwards is not what it was before. The limit of two
minutes is a safety net against a hang, not a measurement.
"""
import os
import pty
import re
import select
import signal
import sys
import termios
import time


def failed(why):
    """No command of ours ends with this code."""
    print(why, file=sys.stderr)
    sys.exit(99)


pattern, action, command = re.compile(sys.argv[1].encode()), sys.argv[2], sys.argv[3:]
end = time.monotonic() + 120

# Ours, and open to the end: else its mode could not be asked for once the command has gone.
master, slave = pty.openpty()
before = termios.tcgetattr(slave)
pid = os.fork()
if pid == 0:
    os.setsid()
    for fd in (0, 1, 2):
        os.dup2(slave, fd)
    os.environ["TERM"] = "xterm"
    os.execvp(command[0], command)

shown, acted, status = b"", False, None
while True:
    if time.monotonic() > end:
        os.kill(pid, signal.SIGKILL)
        failed(f"terminal.py: nothing like {sys.argv[1]} or no end after it: {shown.decode(errors='replace')}")
    readable = select.select([master], [], [], 0.1)[0]
    if readable:
        shown += os.read(master, 65536)
    elif status is not None:
        break  # It has ended, and everything that it wrote has been read.
    if not acted and pattern.search(shown):
        acted = True
        if len(action) == 1:
            os.write(master, action.encode())
        elif action != "none":
            os.kill(pid, signal.Signals["SIG" + action])
    if status is None and (ended := os.waitpid(pid, os.WNOHANG))[0] == pid:
        status = ended[1]

if termios.tcgetattr(slave) != before:
    failed("terminal.py: the terminal's mode is not what it was")
sys.stdout.buffer.write(shown)
sys.stdout.flush()
if not acted:
    failed(f"terminal.py: {sys.argv[1]} was never shown")
sys.exit(os.waitstatus_to_exitcode(status))
