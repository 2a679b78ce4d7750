"""Transactions on a SQLite database, each logged elsewhere once it was acknowledged; and what must then be in it.

    sqlite.py make DATABASE delete|wal
    sqlite.py write DATABASE LOG WHO [TRANSACTIONS]     without a number: until it is killed
    sqlite.py check DATABASE LOG...                     prints how many were acknowledged

A transaction adds one to a counter and inserts a few rows, so that several pages change. Every row of a transaction is there
or none, the counter says how many, and each WHO has all that it logged and at most one more: the one that it was killed in.
"""
import hashlib
import os
import random
import sqlite3
import sys

ROWS = 5


def opened(path):
    # A busy database is waited for; nobody here holds it for long.
    connection = sqlite3.connect(path, timeout=600, isolation_level=None)
    connection.execute("pragma synchronous = full")
    return connection


def make(path, mode):
    connection = opened(path)
    assert connection.execute(f"pragma journal_mode = {mode}").fetchone() == (mode,), "the journal's mode"
    connection.executescript("""
        create table counter (value integer not null);
        insert into counter values (0);
        create table rows (who text, number integer, part integer, contents blob, sum text, primary key (who, number, part));
        create index by_sum on rows (sum);""")
    connection.close()


def write(path, log_path, who, transactions=None):
    dice = random.Random(who)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    connection = opened(path)
    # A writer that was killed may have been in a transaction that counts.
    number, = connection.execute("select coalesce(max(number), 0) from rows where who = ?", (who,)).fetchone()
    end = number + int(transactions) if transactions else sys.maxsize
    while number < end:
        number += 1
        connection.execute("begin immediate")
        value, = connection.execute("select value from counter").fetchone()
        for part in range(ROWS):
            contents = dice.randbytes(dice.choice([10, 500, 3000]))
            connection.execute("insert into rows values (?, ?, ?, ?, ?)",
                               (who, number, part, contents, hashlib.sha256(contents).hexdigest()))
        connection.execute("update counter set value = ?", (value + 1,))
        connection.execute("commit")
        os.write(log, f"{who} {number}\n".encode())
    connection.close()


def check(path, logs):
    connection = opened(path)
    wrong = [line for line, in connection.execute("pragma integrity_check") if line != "ok"]
    last = {}
    for log in logs:
        with open(log, encoding="ascii") as f:
            for line in f:
                who, number = line.split()
                last[who] = int(number)
    found = {}
    for who, number, count in connection.execute("select who, number, count(*) from rows group by who, number"):
        found.setdefault(who, set()).add(number)
        if count != ROWS:
            wrong.append(f"{who} {number}: {count} of {ROWS} rows")
    for who in last.keys() | found.keys():
        numbers, acknowledged = found.get(who, set()), last.get(who, 0)
        if numbers not in (set(range(1, acknowledged + 1)), set(range(1, acknowledged + 2))):
            wrong.append(f"{who}: {acknowledged} acknowledged, there are {sorted(numbers)}")
    for who, number, contents, expected in connection.execute("select who, number, contents, sum from rows"):
        if hashlib.sha256(contents).hexdigest() != expected:
            wrong.append(f"{who} {number}: other contents")
    value, = connection.execute("select value from counter").fetchone()
    if value != sum(map(len, found.values())):
        wrong.append(f"the counter is {value}, there are {sum(map(len, found.values()))} transactions")
    connection.close()
    for line in wrong[:20]:
        print(f"WRONG {line}", file=sys.stderr)
    print(sum(last.values()))
    sys.exit(1 if wrong or not last else 0)


if sys.argv[1] == "check":
    check(sys.argv[2], sys.argv[3:])
else:
    {"make": make, "write": write}[sys.argv[1]](*sys.argv[2:])
