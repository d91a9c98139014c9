"""Backups in a directory of the host: a missing one is made, a foreign one is left alone."""

from __future__ import annotations

from tests.e2e.conftest import Stacks
from tests.e2e.stack import CommandFailedError, Stack


def look(stack: Stack, script: str) -> str:
    """Run a shell script in the directory that holds the repository's, whoever owns that one."""
    return stack.in_helper(f"cd /host; {script}", {"/host": str(stack.directory)})


def test_a_missing_directory_is_made_and_given_to_the_containers_user(stacks: Stacks) -> None:
    """Docker makes it for root; setup gives it to uid 999; the backup lands in it."""
    stack = stacks.new()
    place = stack.directory / "backups"
    stack.configure(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_PATH=str(place), BACKUP_CPU_LIMIT="2")
    stack.start()
    assert look(stack, "stat -c '%a %u:%g' backups").strip() == "750 999:999"
    label = stack.backups()[0]["label"]
    assert look(stack, f"test -s backups/backup/salespider/{label}/backup.manifest && echo there").strip() == "there"
    assert look(stack, "find backups -not -user 999 | head -1") == ""
    assert stack.volume("backup-repo") not in [mount.get("Name") for mount in stack.inspect("backup")["Mounts"]]


def test_a_changed_directory_is_refused_until_the_backups_are_there(stacks: Stacks) -> None:
    """What runs goes on in the old place; after a copy, the new one is the repository, with everything that was in it."""
    stack = stacks.new()
    old, new = stack.directory / "old", stack.directory / "new"
    settings = {"PGBACKREST_REPO1_TYPE": "posix", "BACKUP_CPU_LIMIT": "2"}
    stack.configure(PGBACKREST_REPO1_PATH=str(old), **settings)
    stack.start()
    label = stack.backups()[0]["label"]

    stack.configure(PGBACKREST_REPO1_PATH=str(new), **settings)
    result = stack.make("deploy")
    assert result.code == 10, result.output
    assert f"repository 1 was {old}, where backups have been made, and is now {new}, which holds none" in result.output
    assert look(stack, "ls -A new") == ""
    assert stack.make("config-check").code == 2
    assert stack.is_open()
    assert [backup["label"] for backup in stack.backups()] == [label]

    stack.make("stop")
    look(stack, "cp -a old/. new/; mv old gone")
    result = stack.make("deploy")
    assert result.code == 0, result.output
    assert stack.make("backup-diff").code == 0
    assert len(stack.backups()) == 2
    assert stack.backups()[0]["label"] == label


def test_a_fresh_start_in_another_directory_must_be_asked_for(stacks: Stacks) -> None:
    """The old backups stay where they are, and the new place gets its own."""
    stack = stacks.new()
    old, new = stack.directory / "old", stack.directory / "new"
    settings = {"PGBACKREST_REPO1_TYPE": "posix", "BACKUP_CPU_LIMIT": "2"}
    stack.configure(PGBACKREST_REPO1_PATH=str(old), **settings)
    stack.start()
    label = stack.backups()[0]["label"]
    stack.configure(PGBACKREST_REPO1_PATH=str(new), BACKUP_GIVE_UP=str(old), **settings)
    result = stack.make("deploy")
    assert result.code == 0, result.output
    assert f"what is in {old} is given up" in result.output
    assert label not in [backup["label"] for backup in stack.backups()]
    assert look(stack, f"test -s old/backup/salespider/{label}/backup.manifest && echo there").strip() == "there"


def test_a_foreign_directory_is_refused_and_left_alone(stacks: Stacks) -> None:
    """Somebody's photos are no repository: setup ends with 10, nothing starts, and no file is touched."""
    stack = stacks.new()
    place = stack.directory / "photos"
    place.mkdir(mode=0o755)
    (place / "holiday.jpg").write_bytes(b"a photo")
    before = look(stack, "stat -c '%n %a %u:%g %s %Y %Z' photos photos/*")
    stack.configure(PGBACKREST_REPO1_TYPE="posix", PGBACKREST_REPO1_PATH=str(place))
    try:
        stack.up()
    except CommandFailedError:
        pass
    else:
        raise AssertionError("docker compose up succeeded")
    assert stack.state("setup")["ExitCode"] == 10
    assert not stack.state("postgres")["Running"]
    assert not stack.state("backup")["Running"]
    result = stack.make("deploy")
    assert result.code == 10, result.output
    assert "holiday.jpg" in result.output
    assert "HINT:" in result.output
    assert look(stack, "stat -c '%n %a %u:%g %s %Y %Z' photos photos/*") == before
