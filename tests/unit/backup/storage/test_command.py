"""The command: what is examined, what is printed, what it ends with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from backup import cli
from backup.storage import examine, reach, through
from backup.storage.step import Step
from contract import paths
from contract.candidate import Candidate
from contract.errors import ProductError
from contract.exits import Exit
from contract.supervisor import SupervisorConfig
from tests.unit.backup.fakes import make_config, publish

OPTIONS = "repo{0}-type=s3\nrepo{0}-s3-bucket=b\nrepo{0}-s3-endpoint=s{0}.example.com\n"
REFUSED = Step("connection", "failed", "it refuses the connection", 0.1, "start it", may_pass=True)
WRONG_KEY = Step("credentials", "failed", "the store does not know the access key", 0.1, "correct the key")
GOOD = Step("list", "ok", "listed", 0.1)


class Seen:
    """The steps that each repository shows, by number."""

    def __init__(self) -> None:
        self.reached: dict[str, Step] = {}
        self.passed: dict[int, Step] = {}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Seen:
    made = Seen()

    def reached(endpoint: Any, *_: Any) -> list[Step]:
        return [made.reached.get(endpoint.host, GOOD)]

    def go(passage: through.Passage, *, measured: bool) -> list[Step]:
        return [made.passed.get(passage.place.key or 0, GOOD)]

    monkeypatch.setattr(reach, "reach", reached)
    monkeypatch.setattr(through.Passage, "go", go)
    monkeypatch.setattr(examine, "_settings", lambda *_: [])
    monkeypatch.setattr(paths, "CONFIG", tmp_path)
    return made


def config() -> SupervisorConfig:
    made = make_config(repositories=2)
    repositories = [
        each.model_copy(update={"type": "s3", "location": f"s3://b at {each.key}"}) for each in made.repositories
    ]
    return made.model_copy(update={"repositories": tuple(repositories)})


def published(directory: Path) -> None:
    publish(directory, config())
    (directory / "conf.d").mkdir()
    (directory / paths.REPO_CONF).write_text(OPTIONS.format(1) + OPTIONS.format(2))


def candidate(*in_use: str) -> str:
    files = {
        paths.SUPERVISOR_JSON: config().model_dump_json(),
        paths.MANIFEST_JSON: "1",
        paths.REPO_CONF: OPTIONS.format(1) + OPTIONS.format(2),
    }
    return Candidate(files=files, in_use=in_use).model_dump_json()


def called(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(cli.main, ["storage-check", *arguments], input=given)


def ended(result: Result) -> tuple[Exit, str, str]:
    error = result.exception
    assert isinstance(error, ProductError), result.output
    return error.exit_code, error.message, error.hint


def test_every_repository_is_examined(seen: Seen, tmp_path: Path) -> None:
    published(tmp_path)
    result = called()
    assert result.exit_code == 0, result.exception
    assert "Repository 1: s3://b at 1" in result.output
    assert "Repository 2: s3://b at 2" in result.output


def test_one_repository_may_be_chosen(seen: Seen, tmp_path: Path) -> None:
    published(tmp_path)
    found = json.loads(called("--repo=2", "--output=json").output)
    assert [(each["repository"], each["ok"]) for each in found] == [(2, True)]
    assert found[0]["steps"][0] == {"name": "list", "state": "ok", "seen": "listed", "seconds": 0.1, "hint": ""}
    assert ended(called("--repo=3"))[0] == Exit.CONFIGURATION


def test_a_failure_names_each_repository(seen: Seen, tmp_path: Path) -> None:
    published(tmp_path)
    seen.reached["s1.example.com"], seen.passed[2] = REFUSED, WRONG_KEY
    result = called()
    assert "credentials  skipped" in " ".join(result.output.split("\n"))
    assert ended(result) == (
        Exit.REPOSITORY,
        (
            "repository 1 (s3://b at 1): it refuses the connection; "
            "repository 2 (s3://b at 2): the store does not know the access key"
        ),
        "start it; correct the key",
    )


def test_a_candidate_is_unpacked_for_nobody_else_to_read(seen: Seen, tmp_path: Path) -> None:
    result = called("--quick", "--candidate", given=candidate())
    assert result.exit_code == 0, result.exception
    assert "repository 1 (s3://b at 1): reached, written to, read back and cleared in 0.2 s" in result.output
    assert (tmp_path / paths.REPO_CONF).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("case", "in_use", "wrong", "code"),
    [
        ("away, and in use", ("s3://b at 1",), {}, Exit.STORE_AWAY),
        ("away, and new", (), {}, Exit.REPOSITORY),
        ("one of them is away, the other one refuses", ("s3://b at 1", "s3://b at 2"), {2: WRONG_KEY}, Exit.REPOSITORY),
    ],
)
def test_a_candidate_whose_store_is_away(
    seen: Seen, case: str, in_use: tuple[str, ...], wrong: dict[int, Step], code: Exit
) -> None:
    seen.reached["s1.example.com"], seen.passed = REFUSED, wrong
    found = ended(called("--quick", "--candidate", given=candidate(*in_use)))
    assert found[0] == code, case
    assert ("STORAGE_CHECK=no" in found[2]) == (case == "away, and new")


def test_without_an_object_store_there_is_nothing_to_try(seen: Seen) -> None:
    assert called("--quick", "--candidate", given="").exit_code == 0


@pytest.mark.parametrize("given", ["{", '{"files": {"conf.d/repo.conf": 7}, "secret": "SECRET"}'])
def test_a_candidate_that_is_none_is_not_repeated(seen: Seen, given: str) -> None:
    found = ended(called("--quick", "--candidate", given=given))
    assert found[0] == Exit.CONFIGURATION
    assert "SECRET" not in "".join(found[1:])


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside"])
def test_a_candidate_stays_in_its_directory(seen: Seen, path: str) -> None:
    found = ended(called("--quick", "--candidate", given=Candidate(files={path: "x"}).model_dump_json()))
    assert found[1] == "the candidate names a file elsewhere"
