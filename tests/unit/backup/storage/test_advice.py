"""What a service's settings mean for backups."""

from __future__ import annotations

from typing import Any

import pytest

from backup.storage import advice, signing
from backup.storage.advice import Rule
from backup.storage.step import Step


def seen(step: Step) -> tuple[str, str]:
    return step.state, step.seen


def s3_rule(**given: Any) -> dict[str, Any]:
    return {"Rules": [{"Status": "Enabled", "Filter": {"Prefix": ""}, **given}]}


@pytest.mark.parametrize(
    ("answer", "rules"),
    [
        ({}, ()),
        (s3_rule(Expiration={"Days": 30}), (Rule("after 30 days"),)),
        (s3_rule(Expiration={"Days": 30}, Status="Disabled"), ()),
        (s3_rule(Expiration={"Days": 30}, Filter={"Prefix": "logs/"}), ()),
        (s3_rule(Expiration={"Days": 30}, Filter={"Prefix": "pgbackrest/archive/"}), (Rule("after 30 days"),)),
        (s3_rule(Expiration={"Days": 3}, Filter={"And": {"Prefix": "pg", "Tags": []}}), (Rule("after 3 days"),)),
        (s3_rule(Expiration={"ExpiredObjectDeleteMarker": True}), (Rule(),)),
        (s3_rule(NoncurrentVersionExpiration={"NoncurrentDays": 7}), (Rule(forgets_versions=True),)),
        (
            s3_rule(Transitions=[{"Days": 30, "StorageClass": "STANDARD_IA"}, {"Days": 90, "StorageClass": "GLACIER"}]),
            (Rule(moves_to="GLACIER"),),
        ),
        (s3_rule(AbortIncompleteMultipartUpload={"DaysAfterInitiation": 7}), (Rule(),)),
    ],
)
def test_which_rules_of_s3_concern_the_repository(answer: dict[str, Any], rules: tuple[Rule, ...]) -> None:
    assert advice.s3_rules(answer, "/pgbackrest") == rules


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((), ("ok", "no rule")),
        ((Rule(),), ("ok", "1 rules, none of them touches present files")),
        ((Rule("after 30 days"),), ("warning", "a rule deletes files after 30 days")),
        ((Rule(moves_to="DEEP_ARCHIVE"),), ("warning", "a rule moves files to DEEP_ARCHIVE, where they cannot be read")),
        ((Rule(moves_to="COLDLINE"),), ("warning", "a rule moves files to COLDLINE")),
        ((Rule(moves_to="STANDARD_IA"),), ("ok", "1 rules, none of them touches present files")),
    ],
)
def test_what_rules_mean_for_present_files(rules: tuple[Rule, ...], said: tuple[str, str]) -> None:
    assert seen(advice.lifecycle(rules)) == said


def test_versions_that_nobody_deletes_cost() -> None:
    assert seen(advice.versioning("off", ())) == ("ok", "off")
    assert seen(advice.versioning("on", (Rule(),))) == ("warning", "on, and noncurrent versions are kept for ever")
    assert advice.versioning("on", (Rule(forgets_versions=True),)).state == "ok"


def test_a_lock_keeps_expire_from_deleting() -> None:
    assert seen(advice.lock("")) == ("ok", "none")
    assert "BACKUP_RETENTION_FULL" in advice.lock("new files cannot be deleted for 30 days").hint


@pytest.mark.parametrize(("status", "said"), [(403, "not told to this identity"), (501, "this service does not tell")])
def test_a_right_that_lacks_is_no_failure(status: int, said: str) -> None:
    assert seen(advice.not_told("versioning", status)) == ("skipped", said)


def test_a_bucket_of_google() -> None:
    bucket = {
        "versioning": {"enabled": True},
        "retentionPolicy": {"retentionPeriod": "864000"},
        "lifecycle": {
            "rule": [
                {"action": {"type": "Delete"}, "condition": {"numNewerVersions": 1}},
                {"action": {"type": "SetStorageClass", "storageClass": "ARCHIVE"}, "condition": {"age": 90}},
                {"action": {"type": "Delete"}, "condition": {"age": 1, "matchesPrefix": ["other/"]}},
            ]
        },
    }
    assert [seen(step) for step in advice.gcs_settings(bucket, "/pgbackrest")] == [
        ("ok", "on, and noncurrent versions are deleted by a rule"),
        ("warning", "files cannot be deleted for 10 days"),
        ("warning", "a rule moves files to ARCHIVE"),
    ]
    assert [step.state for step in advice.gcs_settings({}, "/pgbackrest")] == ["ok", "ok", "ok"]


def test_a_shared_key_signs_as_microsoft_describes_it() -> None:
    """The value is what `openssl dgst -mac HMAC` makes of the same text."""
    date, query = "Sat, 21 Nov 2026 15:38:00 GMT", {"restype": "container"}
    assert signing.sign("/account/container", query, date, "YXpLZXk=") == "cgTOPNaqXA5IbD7hQLHSiefEuijENo/sJmxVDe4cK2c="
