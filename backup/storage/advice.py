"""What a service's settings mean for the backups in it. Pure: answers in, steps out.

pgBackRest deletes what retention lets go, and reads everything else at any time: whatever moves, expires or locks its
files behind its back is worth a warning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backup.storage.step import Step

IDENTITY, VERSIONING, LOCK, LIFECYCLE = "identity", "versioning", "object lock", "lifecycle"
NOT_TOLD: Final = "not told to this identity"
NOT_KNOWN: Final = "this service does not tell"

_ARCHIVE_TIERS: Final = frozenset({"GLACIER", "DEEP_ARCHIVE", "ARCHIVE", "COLDLINE", "NEARLINE"})
_UNREADABLE: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_LOCK_HINT: Final = (
    "what expire deletes stays, and costs, until the lock ends: let it last no longer than BACKUP_RETENTION_FULL"
)
_VERSIONS_HINT: Final = "add a lifecycle rule that deletes noncurrent versions after some days: deleted backups are paid for"
_EXPIRY_HINT: Final = "remove the rule: pgBackRest deletes what retention lets go, and cannot restore from what is missing"
_TIER_HINT: Final = "remove the rule, or limit it to another prefix: a restore cannot wait for an archive tier"


@dataclass(frozen=True)
class Rule:
    """A lifecycle rule that applies to the repository: what it does to present files, and to former versions of them."""

    expires_after: str = ""
    moves_to: str = ""
    forgets_versions: bool = False


def versioning(status: str, rules: Iterable[Rule]) -> Step:
    """Return what versioning ("on", "off") means, together with the rules that clear up after it."""
    if status != "on":
        return Step(VERSIONING, "ok", "off")
    if any(rule.forgets_versions for rule in rules):
        return Step(VERSIONING, "ok", "on, and noncurrent versions are deleted by a rule")
    return Step(VERSIONING, "warning", "on, and noncurrent versions are kept for ever", None, _VERSIONS_HINT)


def lock(told: str) -> Step:
    """Return what a lock on the files means; `told` says which one, nothing means none."""
    return Step(LOCK, "warning", told, None, _LOCK_HINT) if told else Step(LOCK, "ok", "none")


def lifecycle(rules: Iterable[Rule]) -> Step:
    """Return what the rules mean for present files."""
    found = tuple(rules)
    for rule in found:
        if rule.expires_after:
            return Step(LIFECYCLE, "warning", f"a rule deletes files {rule.expires_after}", None, _EXPIRY_HINT)
    for rule in found:
        if rule.moves_to.upper() in _UNREADABLE:
            seen = f"a rule moves files to {rule.moves_to}, where they cannot be read"
            return Step(LIFECYCLE, "warning", seen, None, _TIER_HINT)
        if rule.moves_to.upper() in _ARCHIVE_TIERS:
            hint = "reading from it costs, and so does deleting early: restores, verification and retention do both"
            return Step(LIFECYCLE, "warning", f"a rule moves files to {rule.moves_to}", None, hint)
    return Step(LIFECYCLE, "ok", f"{len(found)} rules, none of them touches present files" if found else "no rule")


def not_told(name: str, status: int) -> Step:
    """Return that a question was not answered: for want of a right (401, 403), or because the service knows no answer."""
    return Step(name, "skipped", NOT_TOLD if status in (401, 403) else NOT_KNOWN)


def s3_rules(answer: Mapping[str, Any], path: str) -> tuple[Rule, ...]:
    """Return the enabled rules of GetBucketLifecycleConfiguration that concern files below `path`."""
    rules = [each for each in answer.get("Rules", ()) if each.get("Status") == "Enabled" and _concerns(_prefix(each), path)]
    return tuple(_s3_rule(each) for each in rules)


def _prefix(rule: Mapping[str, Any]) -> str:
    chosen = rule.get("Filter") or {}
    return str(chosen.get("Prefix") or (chosen.get("And") or {}).get("Prefix") or rule.get("Prefix") or "")


def _s3_rule(rule: Mapping[str, Any]) -> Rule:
    expiration = rule.get("Expiration") or {}
    days, date = expiration.get("Days"), expiration.get("Date")
    classes = [str(each["StorageClass"]) for each in rule.get("Transitions", ()) if "StorageClass" in each]
    coldest = next((each for each in classes if each in _UNREADABLE), classes[0] if classes else "")
    expires = f"after {days} days" if days else f"at {date}" if date else ""
    return Rule(expires, coldest, "NoncurrentVersionExpiration" in rule)


def gcs_settings(bucket: dict[str, Any], path: str) -> list[Step]:
    """Return what a bucket resource says."""
    rules = gcs_rules(bucket, path)
    seconds = int((bucket.get("retentionPolicy") or {}).get("retentionPeriod", 0))
    told = f"files cannot be deleted for {seconds / 86400:.0f} days" if seconds else ""
    versions = "on" if (bucket.get("versioning") or {}).get("enabled") else "off"
    return [versioning(versions, rules), lock(told), lifecycle(rules)]


def gcs_rules(answer: Mapping[str, Any], path: str) -> tuple[Rule, ...]:
    """Return the lifecycle rules of a bucket resource that concern files below `path`."""
    return tuple(
        _gcs_rule(each)
        for each in (answer.get("lifecycle") or {}).get("rule", ())
        if any(_concerns(prefix, path) for prefix in each.get("condition", {}).get("matchesPrefix") or [""])
    )


def _gcs_rule(rule: Mapping[str, Any]) -> Rule:
    action, condition = rule.get("action", {}), rule.get("condition", {})
    only_former = condition.get("isLive") is False or any(
        name in condition for name in ("numNewerVersions", "daysSinceNoncurrentTime", "noncurrentTimeBefore")
    )
    if action.get("type") == "Delete":
        return Rule(forgets_versions=True) if only_former else Rule(f"after {condition.get('age', '?')} days")
    if action.get("type") == "SetStorageClass" and not only_former:
        return Rule(moves_to=str(action.get("storageClass", "")))
    return Rule()


def _concerns(prefix: str, path: str) -> bool:
    ours, theirs = path.strip("/"), prefix.strip("/")
    return ours.startswith(theirs) or theirs.startswith(ours)
