"""From the variables to the list of repositories, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from pathlib import PurePosixPath
from typing import cast

from contract import paths
from contract.errors import Problem
from contract.supervisor import RetentionType
from setup import environment, object_stores, values
from setup.given import Given, collect, own_name
from setup.places import Mounts
from setup.policy import Policy
from setup.repositories import Posix, Repository, volume
from setup.values import Rejected
from setup.variables import KINDS, Variables

_STRONG_PASSPHRASE = 20


@dataclass(frozen=True)
class Assembled:
    """The repositories in the order of their numbers, problems, and what is worth a second thought.

    `variables` are the names of those that were set for each, by its number. Any numbers will do: one that was retired
    leaves a gap, and pgBackRest works with gaps (2.55.1).
    """

    repositories: tuple[Repository, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]
    variables: Mapping[int, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Kinds:
    """The type of each repository as it was written, and the problems with it; `none` where there is none."""

    by_key: dict[int, str]
    problems: tuple[Problem, ...]

    @property
    def chosen(self) -> dict[int, str]:
        """Return the types of the repositories that there are."""
        return {key: kind for key, kind in self.by_key.items() if kind != "none"}


def read_kinds() -> Kinds:
    """Read PGBACKREST_REPO1_TYPE … PGBACKREST_REPO4_TYPE."""
    by_key: dict[int, str] = {}
    problems: list[Problem] = []
    for key in range(1, paths.MOST_REPOSITORIES + 1):
        name = own_name(key, "type")
        text = environment.text_of(name)
        try:
            by_key[key] = _kind(text)
        except Rejected as rejected:
            by_key[key] = "none"
            problems.append(Problem(name, rejected.what, rejected.hint))
    return Kinds(by_key, tuple(problems))


def assemble(kinds: Kinds, variables: Variables, mounts: Mounts, now: datetime | None) -> Assembled:
    """Make the repositories of these kinds; without `now` a credential of any age is taken."""
    problems: list[Problem] = []
    warnings: list[Problem] = []
    repositories: list[Repository] = []
    variables_of: dict[int, tuple[str, ...]] = {}
    seen: set[str] = set()
    for key, kind in kinds.by_key.items():
        given = collect(key, kind, mounts, is_first=kind not in seen)
        seen.add(kind)
        repository = _repository(given, variables, mounts, now)
        problems += given.problems
        warnings += given.warnings
        repositories += [repository] if repository else []
        variables_of[key] = _names(given)
    problems += _clashes(repositories)
    return Assembled(tuple(repositories), tuple(problems), tuple(warnings), variables_of)


def _names(given: Given) -> tuple[str, ...]:
    """Return the names of the variables that were set for a repository, as they stand in .env, the type first."""
    set_ = environment.given()
    names = (given.name(name) for name in sorted(given.variables.model_fields_set - {"type"}))
    found = dict.fromkeys(name if name in set_ else f"{name}_FILE" for name in names)
    return (given.own("type"), *(name for name in found if name in set_))


def check_unused() -> list[Problem]:
    """Return what is wrong with repositories' variables where backups are off and nothing is made of them."""
    return [
        problem
        for key in range(1, paths.MOST_REPOSITORIES + 1)
        for problem in collect(key, "none", Mounts(), is_first=False).problems
        if problem.where != own_name(key, "type")
    ]


def _kind(text: str | Rejected | None) -> str:
    if isinstance(text, Rejected):
        raise text
    if text in ("sftp", "cifs"):
        other = "mount the drive on this host and use posix" if text == "cifs" else f"use {values.listed(KINDS)}"
        raise Rejected(f"the repository type {text} is not supported", other)
    return values.one_of(*KINDS)(text or "none")


def _repository(given: Given, variables: Variables, mounts: Mounts, now: datetime | None) -> Repository | None:
    if given.kind == "none":
        _check_without_type(given)
        return None
    policy = _policy(given, variables)
    _warn_of_other_kinds(given)
    if given.kind == "s3":
        return object_stores.s3(given, policy, has_role_arn=variables.aws_role_arn is not None)
    if given.kind == "azure":
        return object_stores.azure(given, policy, now)
    if given.kind == "gcs":
        return object_stores.gcs(given, policy, mounts)
    return _posix(given, policy)


def _posix(given: Given, policy: Policy) -> Posix | None:
    if given.variables.path is None:
        what = f"is not set: backups go to the docker volume {volume(given.key)}, on the same disk as the database"
        hint = "name a directory on another disk; `docker compose down -v` deletes that volume and every backup in it"
        given.warn("path", what, hint)
    return None if given.problems else Posix(given.key, given.variables.path, policy)


def _policy(given: Given, variables: Variables) -> Policy:
    own = given.variables
    if own.block and not own.bundle:
        what = f"is true, but {given.own('bundle')} is false: block increments are kept in bundles"
        given.refuse("block", what, f"set {given.own('bundle')}=true, or remove {given.own('block')}")
    encrypted = own.cipher_type != "none"
    if own.cipher_pass and not encrypted and "cipher_type" not in given.refused:
        what = f"is set, but {given.own('cipher_type')} is none: nothing would be encrypted with it"
        given.refuse("cipher_pass", what, "remove one of them")
    length = len(own.cipher_pass.get_secret_value()) if own.cipher_pass else _STRONG_PASSPHRASE
    if length < _STRONG_PASSPHRASE:
        hint = "make one with: openssl rand -base64 32; or remove it, and one is made for you"
        given.warn("cipher_pass", f"has {length} characters, which can be guessed", hint)
    return Policy(
        encrypted=encrypted,
        bundle=own.bundle,
        block=own.bundle if own.block is None else own.block,
        retention_full=own.retention_full or variables.backup_retention_full,
        retention_diff=own.retention_diff or variables.backup_retention_diff,
        retention_full_type=cast("RetentionType", own.retention_full_type or variables.backup_retention_full_type),
        passphrase=own.cipher_pass,
    )


def _warn_of_other_kinds(given: Given) -> None:
    prefixes = {"s3": "s3_", "azure": "azure_", "gcs": "gcs_"}
    others = tuple(prefix for kind, prefix in prefixes.items() if kind != given.kind)
    if given.kind == "posix":
        others = (*others, "storage_")
    for name in sorted(given.variables.model_fields_set):
        if name.startswith(others) and name not in given.refused:
            given.warn(name, f"has no effect: repository {given.key} is {given.kind}", "remove it")


def _check_without_type(given: Given) -> None:
    """Refuse variables of a repository that has no type: what is left of one that was retired, or a type forgotten."""
    present = sorted(given.variables.model_fields_set - given.refused - {"type"})
    if present and environment.text_of(given.own("type")) is None:
        what = f"is not set, but {given.own(present[0])} is"
        given.refuse(
            "type", what, f"set it to {values.listed(KINDS[1:])}, or remove the variables of repository {given.key}"
        )


def _clashes(repositories: list[Repository]) -> Iterator[Problem]:
    for one, other in combinations(repositories, 2):
        if one.identity == other.identity:
            what = f"repository {other.key} is the same place as repository {one.key}: {one.location}"
            yield Problem(own_name(other.key, "path"), what, "give each repository a place of its own")
        elif isinstance(one, Posix) and isinstance(other, Posix) and one.host_path and other.host_path:
            inner, outer = PurePosixPath(other.host_path), PurePosixPath(one.host_path)
            if inner.is_relative_to(outer) or outer.is_relative_to(inner):
                what = f"{inner} and {outer}, the directories of repositories {other.key} and {one.key}, lie in one another"
                yield Problem(own_name(other.key, "path"), what, "give each repository a directory of its own")
