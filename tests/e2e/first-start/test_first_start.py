"""A first start: from nothing to an encrypted backup, without a secret in sight."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import HELPER_IMAGE, SERVICES, Stack, wait_until


@pytest.fixture(scope="module")
def deployed(stacks: Stacks) -> Stack:
    """Deploy with `make deploy`, with init scripts of the operator's own."""
    stack = stacks.new()
    scripts = write_init_scripts(stack.directory / "initdb.d")
    stack.configure(PGBACKREST_REPO1_TYPE="posix", BACKUP_CPU_LIMIT="2", POSTGRES_INIT_SCRIPTS=str(scripts))
    result = stack.make("deploy")
    assert result.code == 0, result.output
    return stack


def write_init_scripts(directory: Path) -> Path:
    """Write one script of each kind. Each needs what the one before it has done."""
    directory.mkdir()
    psql = 'psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB"'
    (directory / "10-table.sh").write_text(f"{psql} -c 'CREATE TABLE step (id serial, name text)'\n")
    (directory / "20-plain.sql").write_text("INSERT INTO step (name) VALUES ('sql');\n")
    (directory / "30-packed.sql.gz").write_bytes(gzip.compress(b"INSERT INTO step (name) VALUES ('sql.gz');\n"))
    (directory / "40-last.sh").write_text(f"{psql} -c \"INSERT INTO step (name) VALUES ('sh')\"\n")
    directory.chmod(0o755)
    return directory


def stored_secrets(stack: Stack) -> dict[str, str]:
    """Read the secrets where setup keeps them; the record of places beside them is none."""
    program = (
        "import json, pathlib; found = [f for f in pathlib.Path('/s').iterdir() if f.suffix != '.json'];"
        "print(json.dumps({f.name: f.read_text().strip() for f in found}))"
    )
    found: dict[str, str] = json.loads(
        stack.in_helper(f'python3 -c "{program}"', {"/s": stack.volume("pgbackrest-secrets")})
    )
    return found


def log_in_over_tcp(stack: Stack, password: str) -> int:
    """Log in from another container on the network; return psql's exit code."""
    return stack.run(
        *("docker", "run", "--rm", "--network", f"{stack.project}-net", "--env", "PGPASSWORD"),
        *("--label", f"com.docker.compose.project={stack.project}", "--entrypoint", "psql", HELPER_IMAGE),
        *("--host", "postgres", "--username", "postgres", "--dbname", "salespider", "--no-password", "-c", "SELECT 1"),
        check=False,
        PGPASSWORD=password,
    ).code


def test_deploy_ends_with_one_full_encrypted_backup(deployed: Stack) -> None:
    """When `make deploy` has ended, the stanza is there, with exactly one backup, a full one, and it is encrypted."""
    info = deployed.info()
    assert info["status"]["code"] == 0
    assert info["cipher"] == "aes-256-cbc"
    assert [backup["type"] for backup in info["backup"]] == ["full"]
    assert not info["backup"][0]["error"]
    assert deployed.exec("backup", "salespider-backup", "healthcheck").code == 0


def test_what_lies_in_the_repository_is_not_readable(deployed: Stack) -> None:
    """Encrypted means that the bytes on the disk say nothing."""
    assert deployed.in_repository("head -c 8 backup/salespider/backup.info").startswith("Salted__")


def test_init_scripts_run_in_order(deployed: Stack) -> None:
    """Scripts of all three kinds run once, in the order of their names."""
    assert deployed.sql("SELECT string_agg(name, ' ' ORDER BY id) FROM step") == "sql sql.gz sh"


def test_configuration_is_for_the_containers_alone(deployed: Stack) -> None:
    """The published files belong to root and group 999; nobody else can read them, and nobody can change them."""
    for name in ("pgbackrest.conf", "conf.d/repo.conf"):
        path = f"/etc/pgbackrest/{name}"
        assert deployed.exec("backup", "stat", "--dereference", "-c", "%a %u:%g", path).stdout.strip() == "640 0:999"
        assert deployed.exec("backup", "cat", path, user="1234:1234", check=False).code != 0
        assert deployed.exec("backup", "test", "-w", path, check=False).code != 0


def test_no_secret_shows(deployed: Stack) -> None:
    """Neither passphrase nor password stands in what `docker inspect`, `docker logs` or a list of processes shows."""
    secrets = {**stored_secrets(deployed), "make password": deployed.make("password").stdout.strip()}
    assert set(secrets) == {"repo1-cipher-pass", "superuser-password", "make password"}
    for service in SERVICES:
        shown = [json.dumps(deployed.inspect(service)), deployed.logs(service)]
        if service != "setup":
            shown.append(deployed.docker("top", service).stdout)
        leaked = [name for name, value in secrets.items() if any(value in text for text in shown)]
        assert not leaked, f"{service} shows {leaked}"


def test_password_logs_in_and_a_wrong_one_does_not(deployed: Stack) -> None:
    """The password that `make password` prints is the superuser's, over the network."""
    password = deployed.make("password").stdout.strip()
    assert log_in_over_tcp(deployed, password) == 0
    assert log_in_over_tcp(deployed, password + "x") != 0


def test_database_is_set_up_with_care(deployed: Stack) -> None:
    """Checksums are on, passwords are scram, and nobody is trusted."""
    assert deployed.sql("SHOW data_checksums") == "on"
    assert deployed.sql("SHOW password_encryption") == "scram-sha-256"
    assert deployed.sql("SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'postgres'") == "SCRAM-SHA-256"
    rules = deployed.sql("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules ORDER BY 1")
    assert rules.splitlines() == ["host|scram-sha-256", "local|peer"]
    assert deployed.sql("SHOW archive_mode") == "on"


def test_containers_are_hardened(deployed: Stack) -> None:
    """No root, no capability, no writable root, no Docker socket, no published port, no network for setup."""
    for service in SERVICES:
        found = deployed.inspect(service)
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert not any("docker.sock" in mount["Source"] for mount in found["Mounts"])
        assert not any((host["PortBindings"] or {}).values())
        assert (host["CapAdd"] or []) == (["CHOWN"] if service == "setup" else [])
    assert deployed.inspect("setup")["HostConfig"]["NetworkMode"] == "none"
    for service in ("postgres", "backup"):
        processes = deployed.run("docker", "top", deployed.container(service), "-eo", "pid,uid").stdout.splitlines()[1:]
        assert {line.split()[1] for line in processes} == {"999"}
        published = next(m for m in deployed.inspect(service)["Mounts"] if m["Destination"] == "/etc/pgbackrest")
        assert not published["RW"]


def test_compose_up_with_another_superuser(stacks: Stacks, record_property: Callable[[str, object], None]) -> None:
    """A superuser of another name needs no password on the socket, and the first backup follows by itself."""
    stack = stacks.new()
    stack.configure(PGBACKREST_REPO1_TYPE="posix", POSTGRES_USER="shopkeeper")
    stack.user = "shopkeeper"
    began = time.time()
    stack.up()
    wait_until(stack.has_backup, 120, "the first backup")
    wait_until(lambda: stack.runs()[-1]["state"] == "succeeded", 10, "its record")
    assert stack.sql("SELECT current_user") == "shopkeeper"
    assert stack.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'postgres'") == "0"
    assert [run["origin"] for run in stack.runs()] == ["first"]
    record_property("from `docker compose up -d` to the first backup", timing(stack, began))


def timing(stack: Stack, began: float) -> str:
    """Tell how long it took, and in which steps."""
    setup, first = stack.state("setup"), stack.runs()[0]
    moments = {
        "containers made": seconds(setup["StartedAt"]),
        "setup": seconds(setup["FinishedAt"]),
        "containers started": seconds(stack.state("postgres")["StartedAt"]),
        "cluster created": float(stack.sql("SELECT extract(epoch FROM pg_postmaster_start_time())")),
        "stanza created": float(first["started_at"]),
        "full backup": float(first["finished_at"]),
    }
    steps, before = [], began
    for name, moment in moments.items():
        steps.append(f"{name} {moment - before:.1f}")
        before = moment
    return f"{before - began:.1f} s ({', '.join(steps)})"


def seconds(docker_time: str) -> float:
    """Turn Docker's time, with its nanoseconds, into seconds since the epoch."""
    return datetime.fromisoformat(docker_time).timestamp()
