"""Whatever is accepted renders, each key once, the same every time, and each secret in the one place it belongs to."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st
from pydantic import SecretStr

from contract import paths
from contract.receivers import Receivers
from contract.supervisor import SupervisorConfig
from setup.passphrase import Secrets
from setup.render import render
from setup.report import introduction
from setup.repositories import is_encrypted
from setup.settings import Settings

Read = Callable[..., Settings]
Draw = Callable[[st.SearchStrategy[Any]], Any]

PASSWORD = "superuser-SECRET-password"
NAMES_OF_SECRETS = re.compile(r"BACKUP_WEBHOOK_SECRET|AWS_SECRET_ACCESS_KEY|S3_KEY_SECRET")
names = st.from_regex(r"[A-Za-oq-z_][A-Za-z0-9_-]{0,20}", fullmatch=True)
buckets = st.from_regex(r"[a-z0-9][a-z0-9-]{1,20}[a-z0-9]", fullmatch=True)
hosts = st.from_regex(r"[a-z0-9]{1,10}\.example\.(com|org)(:[1-9][0-9]{3})?", fullmatch=True)
prefixes = st.from_regex(r"(/[a-z0-9_=+-]{1,10}){1,3}", fullmatch=True)
# Anything that prints and needs no stripping; the middle tells whose secret it is.
tails = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("C", "Z")), max_size=12)
truths = st.sampled_from(["true", "no", "y", "0"])
cron = st.sampled_from(["off", "0 2 * * 1-6", "*/5 * * * *", "0 0 1 JAN *", "30 3 * * SUN"])
memory = st.from_regex(r"[1-9][0-9]{0,2} ?(MB|GB)", fullmatch=True)
kept = st.integers(1, 9_999_999).map(str)

deployment = st.fixed_dictionaries(
    {},
    optional={
        "BACKUP_RETENTION_FULL": kept,
        "BACKUP_RETENTION_FULL_TYPE": st.sampled_from(["count", "time"]),
        "BACKUP_RETENTION_DIFF": kept,
        "BACKUP_SCHEDULE_DIFF": cron,
        "BACKUP_SCHEDULE_INCR": cron,
        "PGBACKREST_PROCESS_MAX": st.integers(1, 999).map(str),
        "PGBACKREST_COMPRESS_TYPE": st.sampled_from(["none", "bz2", "gz", "lz4", "zst"]),
        "PGBACKREST_ARCHIVE_TIMEOUT": st.integers(1, 86_400).map(str),
        "PGBACKREST_LOG_LEVEL_CONSOLE": st.sampled_from(["off", "warn", "info", "trace"]),
        "TZ": st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Chatham"]),
        "POSTGRES_USER": names,
        "POSTGRES_DB": names,
        "POSTGRES_MAX_CONNECTIONS": st.integers(4, 262_000).map(str),
        "POSTGRES_SHARED_BUFFERS": memory,
        "POSTGRES_MAX_WAL_SIZE": st.from_regex(r"[1-9][0-9]{0,2}GB", fullmatch=True),
        "POSTGRES_WAL_KEEP_SIZE": memory,
        "POSTGRES_ARCHIVE_TIMEOUT": st.integers(1, 86_400).map(str),
        "POSTGRES_LOG_MIN_DURATION_STATEMENT": st.sampled_from(["off", "0ms", "250 ms", "1h"]),
        "POSTGRES_STATISTICS": truths,
        "POSTGRES_MEMORY_LIMIT": st.sampled_from(["0", "512m", "2GiB", "1.5g"]),
        "BACKUP_FULL_AFTER": st.integers(1, 100).map(str),
        "BACKUP_CATCH_UP_JITTER": st.integers(0, 3600).map(str),
        "BACKUP_LOG_FORMAT": st.sampled_from(["auto", "text", "json"]),
        "BACKUP_LATE_AFTER": st.integers(61, 43_200).map(str),
        "BACKUP_ARCHIVE_LATE_AFTER": st.integers(1, 1440).map(str),
        "BACKUP_DISK_ALARM_PERCENT": st.integers(1, 50).map(str),
        "BACKUP_DISK_ALARM_HOURS": st.sets(st.integers(1, 8760), min_size=1, max_size=5).map(
            lambda hours: ", ".join(map(str, sorted(hours, reverse=True)))
        ),
        "BACKUP_DISK_RESERVE_PERCENT": st.integers(0, 30).map(str),
        "BACKUP_NOTIFY_LEVEL": st.sampled_from(["all", "info", "warning", "critical"]),
        "DATABASE_URL": st.sampled_from(["postgresql://u:p@postgres/x?schema=public", "host=localhost password=p"]),
    },
)


class Asked:
    """The variables of one example, and where each of its secrets may stand."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.variables: dict[str, str] = dict(draw(deployment))
        self.secrets: dict[str, str] = {}
        self.key_files: dict[str, str] = {}
        for key in draw(st.sampled_from([(), (1,), (1, 2), (1, 2, 3), (1, 3), (1, 2, 3, 4)])):
            self.add_repository(key)
        self.told: dict[str, str] = {}
        self.add_receivers()

    def add_receivers(self) -> None:
        web = st.builds("{}://u:SECRET.{{0}}@{}/x?k=SECRET.{{0}}".format, st.sampled_from(["http", "https"]), hosts)
        wanted = self.draw(st.sets(st.sampled_from(["webhook_url", "notify_urls", "heartbeat_url"])))
        for name in sorted(wanted - {"notify_urls"}):
            self.told[name] = self.draw(web).format(name)
        if "webhook_url" in wanted and self.draw(st.booleans()):
            self.told |= {"webhook_secret": f"SECRET.signing{self.draw(tails)}", "webhook_token": "SECRET.bearer"}
        if "notify_urls" in wanted:
            between = self.draw(st.sampled_from([" ", ",", ", ", "\n"]))
            self.told["notify_urls"] = between.join(f"{kind}://SECRET.{kind}/a,b" for kind in ("slack", "tgram"))
        self.variables |= {f"BACKUP_{name.upper()}": value for name, value in self.told.items()}

    def put(self, key: int, **values: str) -> None:
        for name, value in values.items():
            self.variables[f"PGBACKREST_REPO{key}_{name.upper()}"] = value

    def secret(self, key: int, name: str) -> str:
        """Make a secret, remembered with the option that it will be the value of."""
        made = f"SECRET[{key}.{name}]{self.draw(tails)}"
        self.secrets[f"repo{key}-{name}"] = made
        return made

    def maybe(self, key: int, **strategies: st.SearchStrategy[str]) -> None:
        for name, strategy in strategies.items():
            if self.draw(st.booleans()):
                self.put(key, **{name: self.draw(strategy)})

    def add_repository(self, key: int) -> None:
        kind = self.draw(st.sampled_from(["posix", "s3", "azure", "gcs"]))
        self.put(key, type=kind)
        self.maybe(key, bundle=truths, retention_full=kept, retention_diff=kept)
        if self.draw(st.booleans()):
            self.put(key, cipher_type="none")
        if kind != "posix":
            self.maybe(key, path=prefixes, storage_verify_tls=truths)
        getattr(self, f"add_{kind}")(key)

    def add_posix(self, key: int) -> None:
        path = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("C", "Z")), max_size=20)
        made = self.draw(path.filter(lambda text: ":" not in text and text.strip("./")))
        self.put(key, path=f"/srv/{key}{made}")

    def add_s3(self, key: int) -> None:
        # The number keeps two repositories apart.
        self.put(key, s3_bucket=f"b{key}{self.draw(buckets)}"[:60].strip("-"), s3_region="eu-central-1")
        self.maybe(key, s3_uri_style=st.sampled_from(["host", "path"]), s3_endpoint=hosts)
        if self.draw(st.booleans()):
            self.put(key, s3_key_type="auto")
            return
        self.put(key, s3_key=self.secret(key, "s3-key"), s3_key_secret=self.secret(key, "s3-key-secret"))
        if self.draw(st.booleans()):
            self.put(key, s3_token=self.secret(key, "s3-token"))

    def add_azure(self, key: int) -> None:
        self.put(key, azure_account=f"account{key}", azure_container="backups")
        if self.draw(st.booleans()):
            token = f"sv=1&sig={self.secret(key, 'azure-key')}"
            self.put(key, azure_key_type="sas", azure_key=token)
        else:
            encoded = base64.b64encode(self.secret(key, "azure-key").encode()).decode()
            self.secrets[f"repo{key}-azure-key"] = encoded
            self.put(key, azure_key=encoded)

    def add_gcs(self, key: int) -> None:
        self.put(key, gcs_bucket=f"b{key}{self.draw(buckets)}"[:60].strip("-"))
        kind = self.draw(st.sampled_from(["auto", "token", "service"]))
        self.put(key, gcs_key_type=kind)
        if kind == "token":
            self.put(key, gcs_key=self.secret(key, "gcs-key"))
        if kind == "service":
            hidden = base64.b64encode(b"0\x07SECRET" + str(key).encode()).decode()
            private = f"-----BEGIN PRIVATE KEY-----\n{hidden}\n-----END PRIVATE KEY-----"
            account = {"type": "service_account", "client_email": "a@b", "private_key": private, "token_uri": "https://c"}
            self.put(key, gcs_key=json.dumps(account))
            self.key_files[f"keys/repo{key}-gcs.json"] = hidden


@st.composite
def questions(draw: Draw) -> Asked:
    return Asked(draw)


def options(files: dict[str, str]) -> dict[str, str]:
    """Read pgBackRest's [global] from both files as it reads them; a key that is there twice fails."""
    found: dict[str, str] = {}
    section = ""
    for line in (files[paths.PGBACKREST_CONF] + files.get(paths.REPO_CONF, "")).splitlines():
        if line.startswith("["):
            section = line
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            assert value, f"{key} is empty"
            assert value == value.strip(), f"pgbackrest would strip {key}"
            name = key if section == "[global]" else f"{section} {key}"
            assert name not in found, f"{name} is there twice"
            found[name] = value
    return found


def server_keys(text: str) -> list[str]:
    return [line.partition(" = ")[0] for line in text.splitlines() if line and not line.startswith(("#", "include "))]


# No time limit for one example, the machine may be busy; no database, the checkout may be read-only.
@run_with(deadline=None, database=None, max_examples=100)
@given(asked=questions())
def test_whatever_is_accepted_renders(read: Read, asked: Asked) -> None:
    settings = read(asked.variables | {"POSTGRES_PASSWORD": PASSWORD})
    encrypted = [repository.key for repository in settings.repositories if is_encrypted(repository)]
    passphrases = {key: SecretStr(f"SECRET{key}passphrase") for key in encrypted}
    secrets = Secrets(passphrases, SecretStr(PASSWORD))
    files = render(settings, secrets)
    assert files == render(settings, secrets), "same input, same bytes"
    assert max(Counter(server_keys(files[paths.POSTGRESQL_CONF])).values()) == 1

    supervisor = SupervisorConfig.model_validate_json(files[paths.SUPERVISOR_JSON])
    kinds = [asked.variables.get(f"PGBACKREST_REPO{key}_TYPE") for key in range(1, 5)]
    assert [repository.type for repository in supervisor.repositories] == [kind for kind in kinds if kind]
    assert supervisor.mode == settings.mode == ("backups" if supervisor.repositories else "off")

    found = options(files)
    expected = asked.secrets | {f"repo{key}-cipher-pass": f"SECRET{key}passphrase" for key in encrypted}
    for option, secret in expected.items():
        assert [key for key, value in found.items() if secret in value] == [option]
        assert [path for path, text in files.items() if secret in text] == [paths.REPO_CONF]
        assert files[paths.REPO_CONF].count(secret) == 1
    for file, secret in asked.key_files.items():
        assert [path for path, text in files.items() if secret in text] == [file]
    receivers = [paths.RECEIVERS_JSON] if asked.told and supervisor.repositories else []
    for name, value in asked.told.items():
        for secret in value.replace(", ", " ").replace(",tgram", " tgram").split():
            found_in = [path for path, text in files.items() if json.dumps(secret, ensure_ascii=False) in text]
            assert found_in == receivers, f"{name} is in {found_in}"
    marked = [path for path, text in files.items() if "SECRET." in text]
    assert marked == receivers
    if receivers:
        told_of = Receivers.model_validate_json(files[paths.RECEIVERS_JSON])
        assert "SECRET" not in f"{told_of!r} {told_of}"
    assert [path for path, text in files.items() if PASSWORD in text] == [paths.SUPERUSER_PASSWORD]
    told = f"{settings!r} {secrets!r} {supervisor!r} {list(introduction(settings))}"
    assert "SECRET" not in NAMES_OF_SECRETS.sub("", told)
