"""The stand-in for gsutil: which command lines it takes, what it asks pgbackrest, what it prints."""

from __future__ import annotations

import json

import pytest

from backup.cloud.bucket import Question, command, listing, parse
from backup.storage.published import Options
from contract.errors import ProductError
from contract.exits import Exit

BUCKET = "your-backup-bucket"
FILES = {
    ".": {"type": "path"},
    "archive": {"type": "path"},
    "archive/salespider": {"type": "path"},
    "backup.info": {"type": "file", "size": 2992, "time": 1795223563},
}


@pytest.mark.parametrize(
    ("line", "question"),
    [
        ("ls", Question("ls", BUCKET, "")),
        (f"ls gs://{BUCKET}", Question("ls", BUCKET, "")),
        (f"ls gs://{BUCKET}/pgbackrest/", Question("ls", BUCKET, "/pgbackrest")),
        (f"ls -l -r gs://{BUCKET}/a/b", Question("ls", BUCKET, "/a/b", long=True, recurse=True)),
        (f"cat gs://{BUCKET}/a/b.info", Question("cat", BUCKET, "/a/b.info")),
    ],
)
def test_what_it_understands(line: str, question: Question) -> None:
    assert parse(tuple(line.split()), BUCKET) == question


@pytest.mark.parametrize(
    "line",
    ["", "rm gs://x/y", "ls -L", "cat -r gs://x/y", f"cat gs://{BUCKET}", "ls s3://x", "ls a b", "ls gs://somebody-elses"],
)
def test_what_it_refuses(line: str) -> None:
    with pytest.raises(ProductError) as caught:
        parse(tuple(line.split()), BUCKET)
    assert caught.value.exit_code == Exit.USAGE


def test_the_whole_bucket_is_asked_for_by_the_repositorys_identity() -> None:
    argv = command(Question("ls", BUCKET, "", recurse=True), Options(3, {}))
    assert argv[0] == "pgbackrest"
    assert {"--repo=3", "--repo3-path=/", "--output=json", "--recurse", "repo-ls"} <= set(argv)
    assert argv[-1] == "/"
    assert command(Question("cat", BUCKET, "/a"), Options(1, {}))[-3:] == ("--raw", "repo-get", "/a")


def test_a_listing_has_whole_addresses() -> None:
    question = Question("ls", BUCKET, "/pgbackrest")
    assert listing(question, json.dumps(FILES).encode()).splitlines() == [
        f"gs://{BUCKET}/pgbackrest/archive/",
        f"gs://{BUCKET}/pgbackrest/archive/salespider/",
        f"gs://{BUCKET}/pgbackrest/backup.info",
    ]


def test_a_long_listing_has_sizes_and_times_and_their_sum() -> None:
    lines = listing(Question("ls", BUCKET, "", long=True), json.dumps(FILES).encode()).splitlines()
    assert lines[2] == f"      2992  2026-11-21T01:12:43Z gs://{BUCKET}/backup.info"
    assert lines[-1] == "TOTAL: 1 objects, 2992 bytes"


def test_one_object_is_listed_by_its_own_name() -> None:
    answer = json.dumps({".": {"type": "file", "size": 5, "time": 0}}).encode()
    assert listing(Question("ls", BUCKET, "/a/b"), answer) == f"gs://{BUCKET}/a/b\n"


def test_an_empty_bucket_is_no_error_and_a_path_that_is_not_there_is_one() -> None:
    nothing = json.dumps({".": {"type": "path"}}).encode()
    assert listing(Question("ls", BUCKET, ""), nothing) == ""
    with pytest.raises(ProductError) as caught:
        listing(Question("ls", BUCKET, "/pgbackups"), nothing)
    assert caught.value.exit_code == Exit.REPOSITORY
