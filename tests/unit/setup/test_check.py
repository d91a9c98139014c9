"""`python -m setup --check`: what is in force, what would change, and nothing is written."""

from __future__ import annotations

import io
import os
from pathlib import Path
from unittest.mock import patch

import pytest

from contract.exits import Exit
from setup import check
from setup.__main__ import main
from setup.cipher import fingerprint
from setup.places import Places

Capture = pytest.CaptureFixture[str]
S3 = {
    "PGBACKREST_REPO1_TYPE": "s3",
    "AWS_S3_BUCKET": "bucket-1",
    "AWS_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "hunter2-id",
    "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
    "POSTGRES_PASSWORD": "hunter2-password",
}
PUBLISHED = ("manifest.json", "pgbackrest.conf", "conf.d/repo.conf", "supervisor.json", "postgresql/superuser-password")


def run(places: Places, variables: dict[str, str], *arguments: str) -> int:
    with patch.dict(os.environ, variables, clear=True):
        return main(places, arguments)


def tree(places: Places) -> dict[Path, tuple[bytes, float]]:
    files = [path for path in places.configuration.parent.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def shown(secret: str) -> str:
    return f"*** (fingerprint {fingerprint(secret)[:8]})"


def test_before_the_first_deploy_everything_would_be_created(places: Places, capsys: Capture) -> None:
    assert run(places, S3, "--check") == Exit.WOULD_CHANGE
    printed = capsys.readouterr().out
    assert printed.startswith("backups: on (PGBACKREST_REPO1_TYPE is s3)\n")
    assert f"\nrepo1-s3-key-secret={shown('hunter2-secret')}\n" in printed
    assert f"\nPOSTGRES_PASSWORD={shown('hunter2-password')}\n" in printed
    assert "\nrepo1-cipher-pass=(created at the first deploy)\n" in printed
    assert "\nBACKUP_SCHEDULE_FULL=0 2 * * 0\n" in printed
    assert "\nconf.d/repo.conf:\n  would be created\n" in printed
    assert tree(places) == {}


def test_afterwards_it_is_the_same(places: Places, capsys: Capture) -> None:
    assert run(places, S3) == Exit.OK
    before = tree(places)
    capsys.readouterr()
    assert run(places, S3, "--check") == Exit.OK
    assert capsys.readouterr().out.endswith("\nthe published configuration is the same\n")
    assert tree(places) == before


def test_what_would_change_is_shown_line_by_line_without_secrets(places: Places, capsys: Capture) -> None:
    run(places, S3)
    before = tree(places)
    capsys.readouterr()
    changed = S3 | {
        "BACKUP_RETENTION_FULL": "9",
        "AWS_SECRET_ACCESS_KEY": "hunter2-new",
        "POSTGRES_PASSWORD": "hunter2-other",
    }
    assert run(places, changed, "--check") == Exit.WOULD_CHANGE
    printed = capsys.readouterr().out
    told = printed[printed.index("conf.d/repo.conf:") :]
    assert told == (
        "conf.d/repo.conf:\n"
        f"  -repo1-s3-key-secret={shown('hunter2-secret')}\n"
        f"  +repo1-s3-key-secret={shown('hunter2-new')}\n"
        "  -repo1-retention-full=7\n"
        "  +repo1-retention-full=9\n"
        "  -repo1-retention-archive=7\n"
        "  +repo1-retention-archive=9\n"
        "postgresql/superuser-password:\n"
        f"  would change from {shown('hunter2-password')} to {shown('hunter2-other')}\n"
        "supervisor.json:\n"
        '  -      "retention_full": 7,\n'
        '  +      "retention_full": 9,\n'
        '  -      "window": "6 to 7 weeks",\n'
        '  -      "window_seconds": 3628800\n'
        '  +      "window": "8 to 9 weeks",\n'
        '  +      "window_seconds": 4838400\n'
    )
    assert "hunter2" not in printed
    assert tree(places) == before


def test_a_file_that_would_go_is_named(places: Places, capsys: Capture) -> None:
    run(places, S3)
    capsys.readouterr()
    off = {name: value for name, value in S3.items() if name != "PGBACKREST_REPO1_TYPE"}
    assert run(places, off, "--check") == Exit.WOULD_CHANGE
    assert "\nconf.d/repo.conf:\n  would be removed\n" in capsys.readouterr().out


def test_what_is_invalid_ends_with_two(places: Places, capsys: Capture) -> None:
    assert run(places, S3 | {"TZ": "Mars/Phobos"}, "--check") == Exit.USAGE
    assert capsys.readouterr().err.endswith(
        "\nTZ: 'Mars/Phobos' is not a time zone\nHINT: write a name of the tz database, for example Europe/Berlin or UTC\n"
    )


def test_the_text_of_an_env_file_counts_before_compose_has_read_it(
    places: Places, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "PGBACKREST_REPO1_TYPE=posix\nPOSTGRES_PASSWORD=hunter2$word\nBACKUP_MEMORY_LIMIT=512\nPOSTGRES_PORT=70000\nTZ\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert run(places, {}, "--check", "--env-file", "-") == Exit.USAGE
    problems = capsys.readouterr().err
    assert problems.startswith("4 problems in the configuration\n")
    assert "hunter2" not in problems
    for where in ("POSTGRES_PASSWORD", ".env, line 5", "BACKUP_MEMORY_LIMIT", "POSTGRES_PORT"):
        assert f"\n{where}: " in problems


def test_an_env_file_in_order_is_checked_as_a_whole(places: Places, capsys: Capture, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("".join(f"{name}='{value}'\n" for name, value in S3.items()) + 'BACKUP_SCHEDULE_FULL="0 3 * * 0" # x\n')
    assert run(places, {"APP": "x"}, "--check", "--env-file", str(file)) == Exit.WOULD_CHANGE
    printed = capsys.readouterr().out
    assert "\nBACKUP_SCHEDULE_FULL=0 3 * * 0\n" in printed
    assert "hunter2" not in printed


def test_outside_compose_the_key_file_of_google_is_not_there_to_be_read(places: Places, tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("PGBACKREST_REPO1_TYPE=gcs\nGCS_BUCKET=bucket-1\nGCS_KEY=/srv/key.json\n")
    assert run(places, {}, "--check", "--env-file", str(file)) == Exit.WOULD_CHANGE
    file.write_text("PGBACKREST_REPO1_TYPE=gcs\nGCS_BUCKET=bucket-1\nGCS_KEY='{\"a\": 1}'\n")
    assert run(places, {}, "--check", "--env-file", str(file)) == Exit.USAGE


def test_an_env_file_that_is_not_there(places: Places, capsys: Capture) -> None:
    assert run(places, {}, "--check", "--env-file", "/absent") == Exit.USAGE
    assert capsys.readouterr().err == "the file /absent cannot be read as text\nHINT: check its name and its rights\n"


@pytest.mark.parametrize("arguments", [("--chekc",), ("--env-file", "-"), ("now",)])
def test_a_wrong_command_line(places: Places, capsys: Capture, arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(places, {}, *arguments)
    assert caught.value.code == Exit.USAGE
    assert tree(places) == {}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("repo1-s3-key=abc", f"repo1-s3-key={shown('abc')}"),
        ("repo4-azure-key=abc", f"repo4-azure-key={shown('abc')}"),
        ("repo2-gcs-key=abc", f"repo2-gcs-key={shown('abc')}"),
        ("repo2-gcs-key=/etc/pgbackrest/keys/repo2-gcs.json", "repo2-gcs-key=/etc/pgbackrest/keys/repo2-gcs.json"),
        ("repo1-s3-key-type=shared", "repo1-s3-key-type=shared"),
        ("# repo1-s3-key=x", "# repo1-s3-key=x"),
    ],
)
def test_a_line_without_its_secret(line: str, expected: str) -> None:
    assert check.mask_line(line) == expected


def test_the_publication_holds_the_key_files(places: Places) -> None:
    variables = {
        "PGBACKREST_REPO1_TYPE": "gcs",
        "GCS_BUCKET": "bucket-1",
        "PGBACKREST_REPO1_GCS_KEY_TYPE": "token",
        "PGBACKREST_REPO1_GCS_KEY": "hunter2",
    }
    assert run(places, variables) == Exit.OK
    assert all((places.configuration / name).is_file() for name in PUBLISHED)
    assert not (places.configuration / "keys").exists()


def test_who_is_told_is_never_shown(places: Places, capsys: Capture) -> None:
    """Neither in what is in force, nor in what would change, nor in what is live."""
    told = {
        "BACKUP_WEBHOOK_URL": "https://u:hunter2@hooks.example.com/hunter2",
        "BACKUP_WEBHOOK_SECRET": "hunter2-hunter2-hunter2",
        "BACKUP_NOTIFY_URLS": "slack://hunter2/a/b discord://1/hunter2",
        "BACKUP_HEARTBEAT_URL": "https://heartbeat.example.com/hunter2",
    }
    assert run(places, S3 | told) == Exit.OK
    assert run(places, S3 | told | {"BACKUP_NOTIFY_URLS": "tgram://hunter2/x"}, "--check") == Exit.WOULD_CHANGE
    assert run(places, {}, "--show") == Exit.OK
    printed = capsys.readouterr()
    assert "hunter2" not in printed.out + printed.err
    assert "\nreceivers.json:\n  would change from *** (fingerprint " in printed.out
    assert f"\nBACKUP_WEBHOOK_URL={shown(told['BACKUP_WEBHOOK_URL'])}\n" in printed.out
    assert "notification: https://hooks.example.com, slack (" in printed.out
