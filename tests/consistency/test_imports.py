"""Who may import what: the two images stay apart, decisions stay pure, and each effect has one door."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.consistency.source import Module, modules

PURE = (
    "backup/due/chain.py",
    "backup/cloud/bucket.py",
    "backup/cloud/choice.py",
    "backup/cloud/programs.py",
    "backup/ownership/cluster.py",
    "backup/emergency/dumps.py",
    "backup/emergency/gap.py",
    "backup/emergency/lever.py",
    "backup/emergency/plan.py",
    "backup/emergency/valve.py",
    "backup/emergency/words.py",
    "backup/taking/evidence.py",
    "backup/keeping/expiry.py",
    "backup/ledger/archive.py",
    "backup/ledger/intervals.py",
    "backup/ledger/timelines.py",
    "backup/ledger/wal.py",
    "backup/keeping/merging.py",
    "backup/moving/retirement.py",
    "backup/notice.py",
    "backup/notify/answer.py",
    "backup/notify/backoff.py",
    "backup/notify/payload.py",
    "backup/notify/signing.py",
    "backup/notify/teams.py",
    "backup/notify/trouble.py",
    "backup/taking/outcome.py",
    "backup/peek/moment.py",
    "backup/peek/space.py",
    "backup/peek/tables.py",
    "backup/peek/words.py",
    "backup/pgbackrest.py",
    "backup/keeping/policy.py",
    "backup/taking/progress.py",
    "backup/keeping/reach.py",
    "backup/recovery_target.py",
    "backup/restore/beside/engine.py",
    "backup/restore/beside/room.py",
    "backup/restore/planning/cost.py",
    "backup/restore/planning/phrases.py",
    "backup/restore/planning/plan.py",
    "backup/restore/planning/refusal.py",
    "backup/restore/planning/stand_in.py",
    "backup/restore/planning/target.py",
    "backup/restore/planning/window.py",
    "backup/restore/planning/words.py",
    "backup/restore/settings.py",
    "backup/restore/swap/journal.py",
    "backup/due/retry.py",
    "backup/due/schedule.py",
    "backup/showing/snapshot.py",
    "backup/taking/space.py",
    "backup/storage/advice.py",
    "backup/storage/answers.py",
    "backup/storage/place.py",
    "backup/storage/signing.py",
    "backup/storage/step.py",
    "backup/storage/trouble.py",
    "backup/taking/summary.py",
    "backup/taking/transfer.py",
    "backup/showing/trend.py",
    "backup/units.py",
    "backup/watch/archiver.py",
    "backup/watch/disks.py",
    "backup/watch/memory.py",
    "backup/watch/outage.py",
    "backup/watch/pulse.py",
    "backup/watch/rates.py",
    "backup/watch/readings.py",
    "backup/watch/refusals.py",
    "backup/watch/verdicts.py",
    "setup/candidate.py",
    "setup/kit/missing.py",
    "setup/notification.py",
    "setup/notification_values.py",
    "setup/relocation.py",
    "setup/render.py",
)
EFFECTS = {"subprocess", "psycopg", "sqlite3", "docker", "structlog", "httpx", "os", "threading", "time", "socket"}
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
DOORS = {
    "subprocess": {"backup/process.py"},
    "psycopg": {"backup/postgres.py"},
    "docker": {"backup/restore/container.py"},
    "httpx": {"backup/notify/web.py", "backup/storage/web.py"},
    "botocore": {"backup/storage/service_s3.py"},
    "google": {"backup/storage/service_gcs.py"},
    "apprise": {"backup/notify/services.py"},
    "sqlite3": {"backup/state/store.py"},
    "http": {"backup/supervision/health_server.py", "backup/notify/answer.py", "backup/storage/reach.py"},
}
READS_ENVIRONMENT = {"setup/environment.py", "backup/process.py"}
# What sends: its libraries are memory, and its waiting is time, that the supervisor does not have.
SENDS = {"backup.notify.web", "backup.notify.services", "backup.restore.container"}
MAY_EXIT = {
    "setup/__main__.py",
    "backup/__main__.py",
    "backup/commands/health.py",
    "backup/commands/listing.py",
    "backup/commands/looking.py",
    "backup/commands/supervising.py",
    "backup/restore/command.py",
    "backup/watch/command.py",
}
# Run where there is no library, or where loading one would be too dear.
STANDARD_LIBRARY_ONLY = ("backup.newcluster", "backup.recovery_again", "backup.health", "backup.cloud.__main__")

EVERY = pytest.mark.parametrize("module", modules(), ids=lambda module: module.path)


def by_path(path: str) -> Module:
    return next(module for module in modules() if module.path == path)


def attributes(module: Module) -> Iterator[tuple[str, ast.AST]]:
    """Every `a.b` in a module."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node


def test_there_is_something_to_look_at() -> None:
    assert len(modules()) > 30


@EVERY
def test_the_images_share_the_contract_and_nothing_else(module: Module) -> None:
    allowed = {"setup": {"setup", "contract"}, "backup": {"backup", "contract"}, "contract": {"contract"}}
    assert module.imported_packages() & {"setup", "backup", "contract", "tests"} <= allowed[module.package]


@EVERY
def test_nothing_is_imported_relatively(module: Module) -> None:
    assert not [node for node in ast.walk(module.tree) if isinstance(node, ast.ImportFrom) and node.level]


@pytest.mark.parametrize("path", PURE)
def test_a_pure_module_has_no_effects_and_no_clock(path: str) -> None:
    module = by_path(path)
    assert module.imported_packages() & EFFECTS == set()
    assert {name for name, _ in attributes(module)} & CLOCKS == set()
    assert not [n for n in ast.walk(module.tree) if isinstance(n, ast.Name) and n.id in {"open", "print", "input"}]


@pytest.mark.parametrize("library", DOORS)
def test_each_effect_has_one_door(library: str) -> None:
    assert {module.path for module in modules() if library in module.imported_packages()} == DOORS[library]


def test_the_environment_is_read_in_one_module_of_each_image() -> None:
    names = {"os.environ", "os.environb", "os.getenv", "os.putenv"}
    readers = {
        module.path for module in modules() if names & ({name for name, _ in attributes(module)} | set(module.imports()))
    }
    assert readers == READS_ENVIRONMENT


def exits(tree: ast.AST) -> bool:
    return any(
        (isinstance(node, ast.Attribute) and node.attr in {"exit", "_exit", "abort"} and _is(node.value, {"sys", "os"}))
        or _is(node, {"SystemExit", "exit", "quit"})
        for node in ast.walk(tree)
    )


def _is(node: ast.AST, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


def is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"


@EVERY
def test_only_the_commands_exit(module: Module) -> None:
    if module.path in MAY_EXIT:
        return
    assert not any(exits(statement) for statement in module.tree.body if not is_main_guard(statement))


def loaded_with(name: str) -> list[Module]:
    """A module and all of ours that are imported with it."""
    by_name = {module.name: module for module in modules()}
    waiting, seen = [name], dict[str, Module]()
    while waiting:
        module = by_name[waiting.pop()]
        seen[module.name] = module
        for imported in module.imports():
            found = imported if imported in by_name else imported.rpartition(".")[0]
            if found in by_name and found not in seen:
                waiting.append(found)
    return list(seen.values())


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_what_runs_without_libraries_imports_none(name: str) -> None:
    loaded = loaded_with(name)
    assert len(loaded) > 1
    for module in loaded:
        assert module.imported_packages() <= sys.stdlib_module_names | {"backup", "contract"}, module.path


def test_the_supervisor_does_not_load_what_sends() -> None:
    loaded = {module.name for module in loaded_with("backup.commands.supervising")}
    assert "backup.notify.courier" in loaded
    assert loaded & SENDS == set()
