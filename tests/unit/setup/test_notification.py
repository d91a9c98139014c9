"""Who is told: the addresses that are taken, what is published of them, and what is shown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from contract import paths
from contract.errors import Problem
from contract.receivers import Receiver, Receivers
from contract.severity import Severity
from contract.supervisor import SupervisorConfig, Thresholds
from setup.notification_values import is_exposed, separated, service_addresses, shown
from setup.passphrase import Secrets
from setup.render import render
from setup.settings import Settings

Read = Callable[..., Settings]
POSIX = {"PGBACKREST_REPO1_TYPE": "posix", "PGBACKREST_REPO1_PATH": "/srv/backups"}
SLACK, MAIL = "slack://hunter2-a/b/c", "mailtos://me:hunter2@example.com?to=a@example.com,b@example.com"


def rendered(settings: Settings) -> dict[str, str]:
    return render(settings, Secrets({1: SecretStr("passphrase")}, SecretStr("password")))


def receivers(settings: Settings) -> Receivers:
    return Receivers.model_validate_json(rendered(settings)[paths.RECEIVERS_JSON])


def test_what_is_chosen_reaches_the_supervisor(read: Read) -> None:
    chosen = {
        "BACKUP_FULL_AFTER": "14",
        "BACKUP_CATCH_UP_JITTER": "0",
        "BACKUP_LOG_FORMAT": "text",
        "BACKUP_LATE_AFTER": "60",
        "BACKUP_ARCHIVE_LATE_AFTER": "5",
        "BACKUP_DISK_ALARM_PERCENT": "80",
        "BACKUP_DISK_ALARM_HOURS": "48, 12,2",
        "BACKUP_DISK_RESERVE_PERCENT": "10",
        "BACKUP_WAL_EMERGENCY_FREE_PERCENT": "4",
    }
    found = SupervisorConfig.model_validate_json(rendered(read(POSIX | chosen))[paths.SUPERVISOR_JSON])
    assert (found.full_after, found.catch_up_jitter_seconds, found.log_format) == (14, 0, "text")
    assert found.thresholds == Thresholds(
        late_minutes=60,
        archive_late_minutes=5,
        disk_percent=80,
        disk_hours=(48, 12, 2),
        disk_reserve_percent=10,
        emergency_free_percent=4,
    )


def test_nobody_is_told_unless_somebody_is_named(read: Read) -> None:
    assert paths.RECEIVERS_JSON not in rendered(read(POSIX))
    assert paths.RECEIVERS_JSON not in rendered(read({"BACKUP_WEBHOOK_URL": "https://hooks.example.com/hunter2"}))


def test_everybody_who_is_named_is_told(read: Read) -> None:
    settings = read(
        POSIX
        | {
            "BACKUP_WEBHOOK_URL": "https://u:hunter2@hooks.example.com:8443/hunter2",
            "BACKUP_WEBHOOK_SECRET": "hunter2-signing",
            "BACKUP_WEBHOOK_TOKEN": "hunter2-bearer",
            "BACKUP_NOTIFY_URLS": f"{SLACK},{MAIL}\n{SLACK}",
            "BACKUP_NOTIFY_LEVEL": "warning",
            "BACKUP_HEARTBEAT_URL": "https://heartbeat.example.com/hunter2",
        }
    )
    digits = [hashlib.sha256(url.encode()).hexdigest()[:8] for url in (SLACK, MAIL)]
    webhook = Receiver(
        id="webhook",
        kind="webhook",
        url="https://u:hunter2@hooks.example.com:8443/hunter2",
        shown="https://hooks.example.com:8443",
        level="warning",
        signing_secret="hunter2-signing",
        bearer_token="hunter2-bearer",
    )
    services = (
        Receiver(id=f"service-{digits[0]}", kind="service", url=SLACK, shown=f"slack ({digits[0]})", level="warning"),
        Receiver(id=f"service-{digits[1]}", kind="service", url=MAIL, shown=f"mailtos ({digits[1]})", level="warning"),
    )
    found = receivers(settings)
    assert found.receivers == (webhook, *services)
    assert found.heartbeat_url == "https://heartbeat.example.com/hunter2"
    assert "hunter2" not in repr(settings)
    assert settings.notification.shown() == (
        *(receiver.shown for receiver in found.receivers),
        "heartbeat https://heartbeat.example.com",
    )


@pytest.mark.parametrize(
    ("word", "level"), [("all", "debug"), ("info", "info"), ("warning", "warning"), ("critical", "critical"), ("", "info")]
)
def test_levels(read: Read, word: str, level: Severity) -> None:
    found = receivers(read(POSIX | {"BACKUP_NOTIFY_URLS": SLACK, "BACKUP_NOTIFY_LEVEL": word}))
    assert [receiver.level for receiver in found.receivers] == [level]


def test_a_file_holds_one_address_on_each_line(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "receivers"
    file.write_text(f"{SLACK}\n{MAIL}\n\n")
    found = receivers(read(POSIX | {"BACKUP_NOTIFY_URLS_FILE": str(file)}))
    assert [receiver.url for receiver in found.receivers] == [SLACK, MAIL]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (f"{SLACK} {MAIL}", [SLACK, MAIL]),
        (f"{MAIL},{SLACK},", [MAIL, SLACK]),
        (f"  {MAIL} ,\t{SLACK}  ", [MAIL, SLACK]),
        ("", []),
    ],
)
def test_a_comma_inside_an_address_is_left_alone(text: str, addresses: list[str]) -> None:
    assert separated(text) == addresses


def test_a_scheme_may_have_capitals() -> None:
    assert service_addresses("Slack://a/b/c") == "Slack://a/b/c"


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("http://hooks.example.com/x", True),
        ("http://8.8.8.8/x", True),
        ("https://hooks.example.com/x", False),
        ("http://127.0.0.1:9000/x", False),
        ("http://[::1]/x", False),
        ("http://10.1.2.3/x", False),
        ("http://172.17.0.1/x", False),
        ("http://172.32.0.1/x", True),
        ("http://169.254.1.1/x", False),
        ("http://localhost/x", False),
        ("http://alertmanager:9093/x", False),
        ("http://host.docker.internal/x", False),
        ("http://nas.local./x", False),
        ("HTTP://HOOKS.EXAMPLE.COM/x", True),
    ],
)
def test_plain_http_is_for_hosts_near_by(read: Read, address: str, exposed: bool) -> None:
    assert is_exposed(address) is exposed
    what = "is plain http: whoever is on the way to that host can read and change what is sent"
    warning = Problem("BACKUP_WEBHOOK_URL", what, "write https://, if the host has it")
    assert read(POSIX | {"BACKUP_WEBHOOK_URL": address}).warnings == ((warning,) if exposed else ())


@pytest.mark.parametrize(("length", "warned"), [(1, True), (15, True), (16, False)])
def test_a_short_secret_is_told(read: Read, length: int, warned: bool) -> None:
    webhook = {"BACKUP_WEBHOOK_URL": "https://hooks.example.com/x", "BACKUP_WEBHOOK_SECRET": "x" * length}
    what, hint = f"has {length} characters, which can be guessed", "make one with: openssl rand -base64 32"
    warning = Problem("BACKUP_WEBHOOK_SECRET", what, hint)
    assert read(POSIX | webhook).warnings == ((warning,) if warned else ())


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://user:hunter2@Hooks.example.com/hunter2?k=hunter2#hunter2", "https://hooks.example.com"),
        ("http://[fd00::1]:8080/hunter2", "http://[fd00::1]:8080"),
    ],
)
def test_what_is_shown_of_an_address(address: str, told: str) -> None:
    assert shown(address) == told
