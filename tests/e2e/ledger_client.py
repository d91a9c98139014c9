"""The client that writes the ledger's rows, one commit each. Runs in a container, as `python3 -c` of this text.

Prints `number<TAB>server's time` of each commit once the server has acknowledged it, and of no other. Ends when its
standard input does. A server that goes away is connected to again and again; the number that was under way then is not
tried a second time, because nobody knows whether it was committed.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Iterator

import psycopg

TABLE = "CREATE TABLE IF NOT EXISTS ledger (number bigint PRIMARY KEY, filler bytea NOT NULL, at timestamptz NOT NULL)"
ROW = "INSERT INTO ledger VALUES (%s, %s, clock_timestamp()) RETURNING at::text"


def connected(user: str) -> psycopg.Connection[tuple[object, ...]]:
    """Connect over the socket, and make sure of the table."""
    connection = psycopg.connect(
        host="/var/run/postgresql", user=user, dbname="salespider", connect_timeout=5, autocommit=True
    )
    connection.execute(TABLE)
    return connection


def turns(seconds: float) -> Iterator[None]:
    """Come round once in so many seconds, until standard input ends."""
    while not select.select([sys.stdin], [], [], seconds)[0]:
        yield


def main(user: str, seconds: float, filler_bytes: int, rows_a_segment: int) -> None:
    """Write rows; with `rows_a_segment` ask for another WAL segment after so many."""
    connection: psycopg.Connection[tuple[object, ...]] | None = None
    number = 0
    for _ in turns(seconds):
        try:
            if connection is None:
                connection = connected(user)
                latest = connection.execute("SELECT coalesce(max(number), 0) FROM ledger").fetchone()
                number = max(number, int(str(latest[0])) if latest else 0)
            number += 1
            row = connection.execute(ROW, (number, os.urandom(filler_bytes))).fetchone()
            print(number, row[0] if row else "", sep="\t", flush=True)
            if rows_a_segment and number % rows_a_segment == 0:
                connection.execute("SELECT pg_switch_wal()")
        except psycopg.Error as error:
            print(f"row {number}: {error}", file=sys.stderr, flush=True)
            if connection is not None:
                connection.close()
            connection = None


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
