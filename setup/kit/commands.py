"""The four things that are done with a recovery kit. They run in the setup container, which alone sees the secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from pydantic import SecretStr

from contract import paths
from contract.errors import InvalidConfigurationError, Problem, ProductError
from contract.exits import Exit
from contract.protection import unprotected
from setup import passphrase, protection
from setup.kit import contents, proof, seal
from setup.kit.contents import Kit
from setup.kit.missing import missing
from setup.kit.proof import Live, LiveCheck
from setup.kit.seal import Credential
from setup.needs import passphrase_needs
from setup.passphrase import Secrets
from setup.places import Places
from setup.repository_key import Action, Need
from setup.settings import Settings, effective_environment


def make(
    settings: Settings, places: Places, credential: Credential, versions: Mapping[str, str], now: datetime
) -> tuple[str, str]:
    """Return the sealed kit of this deployment and what to tell about it. Changes nothing.

    Raises ProductError when there is nothing to put in, or the credential is not good enough.
    """
    needs = _needs(settings, places)
    secrets = Secrets(_stored_passphrases(needs, places), _superuser_password(settings, places))
    kit = contents.contents(needs, secrets, effective_environment(), versions, now)
    if settings.server.extra is not None:
        kit = kit.model_copy(update={"extra_config": SecretStr(settings.server.extra)})
    contents.environment_file(kit)  # what cannot be written back is better known now
    sealed = seal.seal(contents.to_json(kit), credential)
    return sealed, "\n".join(_summary(kit))


def open_kit(sealed: str, credential: Credential) -> Kit:
    """Return what a sealed file holds. Raises ProductError."""
    return contents.from_json(seal.unseal(sealed, credential))


def verify(kit: Kit, settings: Settings, places: Places, check: LiveCheck, now: datetime) -> str:
    """Prove that the kit opens the live repositories, write that down, and return what was seen.

    Raises ProductError with everything that was seen when something is not as it must be.
    """
    needs = _needs(settings, places)
    live = Live(needs, effective_environment(), _published(places), protection.read_used(places.state), check)
    findings = (*proof.prove(kit, live), *proof.compare_extra_config(kit, settings.server.extra))
    seen = "\n".join([*_summary(kit), *map(str, findings)])
    bad = sum(not finding.good for finding in findings)
    if bad:
        raise ProductError(
            f"{seen}\nthe recovery kit is not proven: {bad} of {len(findings)} comparisons failed",
            hint="see the hint below each",
            exit_code=Exit.CHECK_FAILED,
        )
    protection.record_kit(places, kit.fingerprints, now)
    return f"{seen}\n{_verdict(places)}"


def put_back(kit: Kit, settings: Settings, places: Places, now: datetime) -> str:
    """Put the kit's secrets into the secrets volume, and return what to tell. Passphrases in use are never replaced.

    `settings` are those of the kit's own environment. Raises ProductError, before anything is written, when a posix
    repository is not there or does not open, or when the volume holds other passphrases that have been used.
    """
    in_kit = {repository.key: repository.passphrase for repository in kit.repositories}
    needs = tuple(replace(need, supplied=in_kit.get(need.key), from_kit=True) for need in _needs(settings, places))
    _refuse_what_is_not_there(needs, in_kit)
    passphrase.load(places.secrets, needs, kit.superuser_password, protection.read_used(places.state))
    passphrase.put(places.secrets, passphrase.SUPERUSER_PASSWORD, kit.superuser_password)
    if all(need.holding for need in needs):  # opened with the kit's own passphrases a moment ago
        protection.record_kit(places, kit.fingerprints, now)
    return "\n".join([*_summary(kit), "passphrases and superuser password are in the volume pgbackrest-secrets"])


def _refuse_what_is_not_there(needs: Sequence[Need], in_kit: Mapping[int, object]) -> None:
    problems = [
        Problem(
            f"repository {need.key}",
            f"{need.location} holds no backups, though there are some when a recovery kit is made",
            "mount the disk with the backups there first; nothing was written",
        )
        for need in needs
        if need.holding and not need.holding.has_data
    ]
    if {need.key for need in needs} != set(in_kit):
        what = "the repositories in the kit are not those that its environment names"
        problems.append(Problem("recovery kit", what, "it was changed after it had been made; take another copy"))
    if problems:
        raise InvalidConfigurationError(problems)


def _needs(settings: Settings, places: Places) -> tuple[Need, ...]:
    needs = passphrase_needs(settings, places)
    if not needs:
        raise ProductError(
            f"backups are off ({settings.reason}), so there is nothing to recover",
            hint="set PGBACKREST_REPO1_TYPE, then make deploy",
            exit_code=Exit.BACKUPS_OFF,
        )
    return needs


def _stored_passphrases(needs: Sequence[Need], places: Places) -> dict[int, SecretStr]:
    plan = passphrase.plan(places.secrets, needs, protection.read_used(places.state))
    found = {need.key: passphrase.stored(places.secrets, passphrase.file_name(need.key)) for need in needs if need.encrypted}
    missing = [key for key in found if plan[key] is not Action.KEEP]
    if missing:
        raise _not_deployed(f"the passphrase of repository {missing[0]} is not in force yet")
    return {key: value for key, value in found.items() if value is not None}


def _superuser_password(settings: Settings, places: Places) -> SecretStr:
    password = settings.superuser_password or passphrase.stored(places.secrets, passphrase.SUPERUSER_PASSWORD)
    if password is None:
        raise _not_deployed("there is no superuser password yet")
    return password


def _published(places: Places) -> dict[int, str | None]:
    """Return the fingerprints in the published configuration. Raises ProductError when there is none."""
    try:
        published = json.loads((places.configuration / paths.SUPERVISOR_JSON).read_bytes())
        return {entry["key"]: entry["passphrase_fingerprint"] for entry in published["repositories"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_deployed("there is no published configuration to compare with") from error


def _not_deployed(message: str) -> ProductError:
    return ProductError(message, hint="deploy first: make deploy", exit_code=Exit.CONFIGURATION)


def _summary(kit: Kit) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(kit.versions.items()))
    lines = [f"recovery kit of {kit.made_at:%Y-%m-%d %H:%M:%S} UTC ({versions})"]
    for repository in kit.repositories:
        fingerprint = repository.fingerprint
        cipher = f"passphrase {fingerprint[:16]}…" if fingerprint else "not encrypted"
        lines.append(f"repository {repository.key}: {repository.location}, {cipher}")
    return [*lines, *missing(kit)]


def _verdict(places: Places) -> str:
    still = unprotected(_published(places), protection.read_kit(places.secrets))
    return still or "proven: with this file, its password or key, and the repository, an empty host is enough"
