"""What the answer of pgbackrest says about the passphrase, and that nothing is written while it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from backup import cli
from backup.deployment import Deployment
from backup.ownership import repository_key
from backup.ownership.repository_key import Verdict, judge
from backup.pgbackrest import RepositoryStatus
from backup.process import Captured
from backup.showing import checks, status
from backup.showing.snapshot import Protection
from backup.storage.trouble import Trouble
from backup.taking import jobs
from contract import events, paths, protection
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import SupervisorConfig
from tests.unit.backup.fakes import NOON, OPENS, FakePgbackrest, Reply, World, make_config, make_info, make_world
from tests.unit.backup.supervision.test_supervisor import Scene

NO_HEADER = "ERROR: [095]: cipher header invalid\n"
CERTIFICATE = "ERROR: [095]: unable to verify certificate presented by 's3.example:443': [20] unable to get local issuer\n"
BAD_DECRYPT = "ERROR: [095]: unable to flush\n"
MISSING = Captured(55, b"", "ERROR: [055]: unable to open missing file '/…/archive.info' for read\n")
FINGERPRINT = "ab" * 32

ARCHIVE, BACKUP = "archive/salespider/archive.info", "backup/salespider/backup.info"


@pytest.mark.parametrize(
    ("case", "encrypted", "answer", "verdict"),
    [
        ("right", True, OPENS, Verdict.OPENS),
        ("plain, as configured", False, OPENS, Verdict.OPENS),
        ("new", True, MISSING, Verdict.NEW),
        ("new and plain", False, MISSING, Verdict.NEW),
        ("wrong", True, Captured(95, b"", BAD_DECRYPT), Verdict.WRONG),
        ("wrong, by the format", True, Captured(29, b"", "ERROR: [029]: …\n"), Verdict.WRONG),
        ("wrong, with lucky padding", True, Captured(0, b"\x8f\x00garbage", ""), Verdict.WRONG),
        ("wrong, and nothing printed", True, Captured(0, b"", ""), Verdict.WRONG),
        ("plain, against the settings", True, Captured(95, b"", NO_HEADER), Verdict.PLAIN),
        ("encrypted, against the settings", False, Captured(0, b"Salted__\x01\x02", ""), Verdict.ENCRYPTED),
        ("plain and damaged", False, Captured(0, b"\0\0\0\0", ""), Verdict.UNKNOWN),
        ("an untrusted store", True, Captured(95, b"", CERTIFICATE), Verdict.UNKNOWN),
        ("an untrusted store of plain files", False, Captured(95, b"", CERTIFICATE), Verdict.UNKNOWN),
        ("unreachable", True, Captured(49, b"", "ERROR: [049]: no route to host\n"), Verdict.UNKNOWN),
        ("refused by the store", True, Captured(39, b"", ""), Verdict.UNKNOWN),
        ("no permission", True, Captured(41, b"", ""), Verdict.UNKNOWN),
        ("it took too long", True, Captured(-9, b"[backrest]\n", ""), Verdict.UNKNOWN),
        ("a code nobody knows", True, Captured(200, b"[backrest]\n", ""), Verdict.UNKNOWN),
    ],
)  # fmt: skip
def test_what_an_answer_shows(case: str, encrypted: bool, answer: Captured, verdict: Verdict) -> None:
    assert judge(answer, encrypted=encrypted) is verdict, case


WHERE = "repository 1 (/var/lib/pgbackrest1)"


@pytest.mark.parametrize(
    ("encrypted", "answer", "trouble"),
    [
        (
            True,
            Captured(95, b"", BAD_DECRYPT),
            Trouble(
                f"{WHERE}: the passphrase does not open it, it was encrypted with another one",
                "put the right passphrase back: `make deploy FROM_KIT=…`, "
                "or PGBACKREST_REPO1_CIPHER_PASS in .env and `make deploy`",
            ),
        ),
        (
            True,
            Captured(95, b"", NO_HEADER),
            Trouble(
                f"{WHERE}: it is not encrypted, but a passphrase is configured",
                "set PGBACKREST_REPO1_CIPHER_TYPE=none in .env, then `make deploy`; "
                "encryption cannot be switched on for existing backups",
            ),
        ),
        (
            False,
            Captured(0, b"Salted__", ""),
            Trouble(
                f"{WHERE}: it is encrypted, but no passphrase is configured",
                "set PGBACKREST_REPO1_CIPHER_TYPE=aes-256-cbc in .env, then `make deploy`; "
                "encryption cannot be switched off either",
            ),
        ),
        (
            True,
            Captured(49, b"", "ERROR: [049]: no route\x1b to host\nHINT: …\n"),
            Trouble(
                f"{WHERE}: pgbackrest exit code 49 (host-connect): ERROR: [049]: no route? to host",
                "the repository's host cannot be reached: check name and network",
                may_pass=True,
            ),
        ),
        (
            True,
            Captured(-9, b"", ""),
            Trouble(
                f"{WHERE}: no answer within 60 s",
                "check the network between this host and the repository, and the repository's own state",
                may_pass=True,
            ),
        ),
    ],
)  # fmt: skip
def test_what_is_said_about_a_repository(
    tmp_path: Path, engine: FakePgbackrest, encrypted: bool, answer: Captured, trouble: Trouble
) -> None:
    deployment = with_repository(tmp_path, encrypted=encrypted)
    engine.info_files = {ARCHIVE: answer}
    assert repository_key.trouble(deployment) == (trouble,)


def with_repository(tmp_path: Path, **changes: object) -> Deployment:
    config = make_config()
    changed = config.repositories[0].model_copy(update=changes)
    return make_world(tmp_path, config.model_copy(update={"repositories": (changed,)})).deployment


def test_without_the_first_file_the_second_one_tells(world: World, engine: FakePgbackrest) -> None:
    engine.info_files = {ARCHIVE: MISSING, BACKUP: Captured(95, b"", BAD_DECRYPT)}
    assert len(repository_key.trouble(world.deployment)) == 1
    engine.info_files = {ARCHIVE: MISSING, BACKUP: MISSING}
    assert repository_key.trouble(world.deployment) == ()


def test_every_repository_is_asked(tmp_path: Path, engine: FakePgbackrest) -> None:
    deployment = make_world(tmp_path, make_config(repositories=2)).deployment
    engine.info_files = {"--repo=2": Captured(95, b"", BAD_DECRYPT)}
    assert [trouble.sentence.split(":")[0] for trouble in repository_key.trouble(deployment)] == [
        "repository 2 (/var/lib/pgbackrest2)"
    ]


def test_with_a_wrong_passphrase_no_stanza_is_created(world: World, engine: FakePgbackrest) -> None:
    engine.info_files = {ARCHIVE: Captured(95, b"", BAD_DECRYPT)}
    outcome = jobs.create_stanza(world.deployment, print)
    assert (outcome.state, outcome.exit_code) == ("failed", Exit.REPOSITORY)
    assert outcome.message == f"{WHERE}: the passphrase does not open it, it was encrypted with another one"
    assert engine.ran == []
    assert not world.deployment.volumes.used_passphrases.exists()


def test_the_supervisor_says_it_and_tries_again_with_growing_delays(world: World, engine: FakePgbackrest) -> None:
    engine.info_files = {ARCHIVE: Captured(95, b"", BAD_DECRYPT)}
    scene = Scene(world, engine)
    said = f"waiting for the repository ({WHERE}: the passphrase does not open it, it was encrypted with another one)"
    for seconds in (2, 5, 15):
        assert scene.tick() == "creating the stanza"
        with capture_logs() as logged:
            scene.do()
            assert scene.tick().startswith(f"{said}; next attempt at ")
        assert [entry["event"] for entry in logged] == [events.REPOSITORY_REFUSED]
        scene.world.clock.advance(seconds=seconds)
    assert engine.ran == []
    engine.info_files = {}
    scene.tick()
    scene.do(Reply())
    assert engine.verbs == ["info", "stanza-create"]


def test_the_status_says_it_instead_of_the_engine(world: World, engine: FakePgbackrest) -> None:
    engine.info = make_info(repositories=(RepositoryStatus(1, "aes-256-cbc", 99, "[CryptoError] ??"),))
    engine.info_files = {ARCHIVE: Captured(95, b"", BAD_DECRYPT)}
    world.deployment.history.beat("waiting", NOON)
    (said,) = [cause for cause in status.gather(world.deployment).causes if cause.key.startswith("repository")]
    assert said.message == f"{WHERE}: the passphrase does not open it, it was encrypted with another one"
    assert said.hint.startswith("put the right passphrase back")


def test_the_status_does_not_wait_twice_for_a_store_that_is_away(world: World, engine: FakePgbackrest) -> None:
    message = "[HostConnectError] unable to connect"
    engine.info = make_info(repositories=(RepositoryStatus(1, "aes-256-cbc", 99, message),))
    engine.info_files = {ARCHIVE: Captured(49, b"", "never asked for")}
    assert f"repository 1: {message}" in [cause.message for cause in status.gather(world.deployment).causes]


def test_the_command_tells_by_its_exit_code(world: World, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Deployment, "open", lambda: world.deployment)
    assert CliRunner().invoke(cli.main, ["repository-check"]).output == (
        "every repository opens with its passphrase, or is new\n"
    )
    engine.info_files = {ARCHIVE: Captured(95, b"", BAD_DECRYPT)}
    caught = CliRunner().invoke(cli.main, ["repository-check"]).exception
    assert isinstance(caught, ProductError)
    assert caught.exit_code == Exit.REPOSITORY


# --- the records ------------------------------------------------------------------------------------------------------


def fingerprinted(*fingerprints: str | None) -> SupervisorConfig:
    config = make_config(repositories=len(fingerprints))
    repositories = tuple(
        repository.model_copy(update={"passphrase_fingerprint": fingerprint})
        for repository, fingerprint in zip(config.repositories, fingerprints, strict=True)
    )
    return config.model_copy(update={"repositories": repositories})


def used(deployment: Deployment) -> dict[str, object]:
    read: dict[str, object] = json.loads(deployment.volumes.used_passphrases.read_text())
    return read


def test_a_created_stanza_makes_a_passphrase_a_used_one(tmp_path: Path, engine: FakePgbackrest) -> None:
    deployment = make_world(tmp_path, fingerprinted(FINGERPRINT, None)).deployment
    engine.script(Reply())
    assert jobs.create_stanza(deployment, print).state == "succeeded"
    assert used(deployment) == {"schema_version": 1, "used": {"1": [FINGERPRINT]}, "plain": [2]}
    assert deployment.volumes.used_passphrases.stat().st_mode & 0o777 == 0o640


def test_a_stanza_that_was_not_created_does_not(tmp_path: Path, engine: FakePgbackrest) -> None:
    deployment = make_world(tmp_path, fingerprinted(FINGERPRINT)).deployment
    engine.script(Reply(28))
    jobs.create_stanza(deployment, print)
    assert not deployment.volumes.used_passphrases.exists()


def test_the_record_only_grows(tmp_path: Path, engine: FakePgbackrest) -> None:
    deployment = make_world(tmp_path, fingerprinted(FINGERPRINT)).deployment
    deployment.volumes.used_passphrases.write_text('{"schema_version": 1, "used": {"1": ["old"], "3": ["gone"]}}')
    engine.script(Reply(), Reply())
    for _ in range(2):
        jobs.create_stanza(deployment, print)
    assert used(deployment)["used"] == {"1": [FINGERPRINT, "old"], "3": ["gone"]}


def test_a_damaged_record_is_left_to_a_person(tmp_path: Path, engine: FakePgbackrest) -> None:
    """Setup takes every passphrase for a used one while it is damaged, which is the safe side."""
    deployment = make_world(tmp_path, fingerprinted(FINGERPRINT)).deployment
    deployment.volumes.used_passphrases.write_text("{")
    engine.script(Reply())
    assert jobs.create_stanza(deployment, print).state == "succeeded"
    assert deployment.volumes.used_passphrases.read_text() == "{"


def test_a_record_that_cannot_be_written_is_a_failure(
    tmp_path: Path, engine: FakePgbackrest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "passphrases.json")

    deployment = make_world(tmp_path, fingerprinted(FINGERPRINT)).deployment
    monkeypatch.setattr("os.fsync", full)
    engine.script(Reply())
    outcome = jobs.create_stanza(deployment, print)
    assert (outcome.state, outcome.message) == (
        "failed",
        "the passphrases in use cannot be written down: passphrases.json: No space left on device",
    )
    assert [path.name for path in deployment.volumes.used_passphrases.parent.glob(".passphrases*")] == []


NONE_MADE = "not protected against loss of this host: no recovery kit has been made and verified"


@pytest.mark.parametrize(
    ("case", "record", "reason"),
    [
        ("none", None, NONE_MADE),
        ("damaged", "{", NONE_MADE),
        ("for these", {1: FINGERPRINT, 2: None}, None),
        ("for more than these", {1: FINGERPRINT, 2: None, 3: "x"}, None),
        (
            "for another passphrase",
            {1: "cd" * 32, 2: None},
            "not protected against loss of this host: the recovery kit verified on 2026-03-04 does not hold repository 1",
        ),
        (
            "before the second repository",
            {1: FINGERPRINT},
            "not protected against loss of this host: the recovery kit verified on 2026-03-04 does not hold repository 2",
        ),
    ],
)
def test_a_kit_protects_when_it_holds_the_present_passphrases(
    tmp_path: Path, engine: FakePgbackrest, case: str, record: str | dict[int, str | None] | None, reason: str | None
) -> None:
    deployment = make_world(tmp_path, fingerprinted(FINGERPRINT, None)).deployment
    if record is not None:
        kit = (
            record
            if isinstance(record, str)
            else protection.VerifiedKit(verified_at=NOON, fingerprints=record).model_dump_json()
        )
        (deployment.volumes.config / paths.PROTECTION_JSON).write_text(kit)
    assert status.gather(deployment).protection == Protection(reason is None, reason or ""), case
    (finding,) = checks.recovery_kit_is_verified(deployment)
    assert finding.good
    assert finding.seen == (reason or "verified, and it holds the present passphrases")
    assert finding.hint == (protection.HINT if reason else "")
