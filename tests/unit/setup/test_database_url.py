"""Which addresses are our own database, and which are somebody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from contract.errors import InvalidConfigurationError
from setup.database_url import foreign_host
from setup.values import Rejected
from tests.unit.setup.conftest import Read


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://user:password@postgres:5432/salespider?schema=public",
        "postgres://user@localhost/x",
        "postgresql://127.0.0.1:5433/x",
        "postgresql://127.0.1.1/x",
        "postgresql://user@[::1]:5432/x",
        "postgresql+asyncpg://u:p%40ss@salespider-postgres/x",
        "postgresql:///x?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/x",
        "postgresql:///x",
        "postgresql://u:p@h@postgres/x",
        "postgresql://postgres:5432,localhost:5433/x",
        "POSTGRESQL://u@POSTGRES/x",
        "host=localhost port=5432 dbname=x",
        "host = '/var/run/postgresql' dbname=x",
        "dbname=x user=u",
    ],
)
def test_ours(address: str) -> None:
    assert foreign_host(address) is None


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("postgresql://user:password@your-hosted-db.example.com:5432/dbname", "your-hosted-db.example.com"),
        ("postgres://u:p@ep-1.aws.neon.tech/x?sslmode=require&pgbouncer=true", "ep-1.aws.neon.tech"),
        ("postgresql+psycopg://u:p@192.0.2.7/x", "192.0.2.7"),
        ("postgresql://u@[2001:db8::1]:5432/x", "2001:db8::1"),
        ("postgresql://u@a.example.com:5432,b.example.com:5432/x", "a.example.com or b.example.com"),
        ("postgresql://u@postgres.example.com/x", "postgres.example.com"),
        ("postgresql:///x?host=db.example.com", "db.example.com"),
        ("host=db.example.com password='a b' dbname=x", "db.example.com"),
        ("hostaddr=192.0.2.7 dbname=x", "192.0.2.7"),
    ],
)  # fmt: skip
def test_somebody_elses(address: str, host: str) -> None:
    assert foreign_host(address) == host


@run_with(deadline=None, database=None)
@given(text=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_any_text_is_an_answer_or_a_refusal_that_does_not_show_it(text: str) -> None:
    said = ""
    try:
        foreign_host(f"postgresql://user:hunter2@{text}")
    except Rejected as rejected:
        said = f"{rejected.what} {rejected.hint}"
    assert "hunter2" not in said


def test_a_hosted_database_is_a_mode_of_its_own(read: Read) -> None:
    settings = read({"DATABASE_URL": "postgresql://u:hunter2@db.example.com/x"})
    assert (settings.mode, settings.repositories) == ("hosted", ())
    assert settings.reason == "DATABASE_URL points to db.example.com, which is not this deployment's database"
    assert "hunter2" not in repr(settings)


def test_the_guides_hosted_example(read: Read) -> None:
    url = "postgresql://user:password@your-hosted-db.example.com:5432/dbname"
    variables = {"SETUP_BACKUP": "false", "PGBACKREST_REPO1_TYPE": "none", "DATABASE_URL": url}
    assert read(variables).mode == "hosted"


def test_our_own_address_changes_nothing(read: Read) -> None:
    url = {"DATABASE_URL": "postgresql://u:p@postgres:5432/salespider"}
    assert read(url) == read({})
    assert read(url | {"PGBACKREST_REPO1_TYPE": "posix"}).mode == "backups"


def test_setup_backup_false_settles_it_whatever_the_type_is(read: Read) -> None:
    hosted = {"DATABASE_URL": "postgresql://u@db.example.com/x", "PGBACKREST_REPO1_TYPE": "posix"}
    assert read(hosted | {"SETUP_BACKUP": "false"}).mode == "hosted"
    with pytest.raises(InvalidConfigurationError, match="1 problem"):
        read(hosted)
