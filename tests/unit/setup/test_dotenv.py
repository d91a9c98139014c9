"""An .env file is read as Compose reads it, and what Compose would do silently is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import settings as run_with
from hypothesis import strategies as st

from contract.errors import Problem
from setup.dotenv import parse
from setup.variables import known_variables, secret_variables

KNOWN = {"A", "B", "PASSWORD"}
QUOTES = "put the value in 'single quotes', then it is taken as it stands"
TWICE = "is set twice, in lines 1 and 3 of .env: Compose takes the last one"
SAME_QUOTE = "write the same quote at the end of the value"
DOLLAR = "has a $ in it, which Compose takes for the name of a variable"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("", {}),
        ("# a comment\n\n   \n", {}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("\ufeffA=1", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("a=1", {"A": "1"}),
        ("A = 1 ", {"A": "1"}),
        ("A: 1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A=\nB=2", {"A": "", "B": "2"}),
        ('A="0 2 * * 0"  # Sundays', {"A": "0 2 * * 0"}),
        ("A=0 2 * * 0 # Sundays", {"A": "0 2 * * 0"}),
        ("A=a#b", {"A": "a#b"}),
        ("A=#b", {"A": ""}),
        ("A='a # b'", {"A": "a # b"}),
        ("A='it\\'s'", {"A": "it's"}),
        (r'A="a\"b\n\$c"', {"A": 'a"b\n$c'}),
        ("A='one\ntwo'\nB=2", {"A": "one\ntwo", "B": "2"}),
        ("PASSWORD='pa$$word'", {"PASSWORD": "pa$$word"}),
        ("A=1\nB=${A}2", {"A": "1", "B": "12"}),
        ("A=1\nB=$A", {"A": "1", "B": "1"}),
        ("PASSWORD=x\nB=postgresql://u:${PASSWORD}@postgres/x", {"PASSWORD": "x", "B": "postgresql://u:x@postgres/x"}),
        ("A=${NONE:-deep}/x", {"A": "deep/x"}),
        ("APP=$HOME/x", {"APP": "$HOME/x"}),
    ],
)
def test_what_compose_makes_of_it(text: str, values: dict[str, str]) -> None:
    found = parse(text, KNOWN, {"PASSWORD"})
    assert (found.values, found.problems) == (values, ())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PASSWORD=hunter2$word", Problem("PASSWORD", DOLLAR, QUOTES)),
        ('PASSWORD="hunter2$word"', Problem("PASSWORD", DOLLAR, QUOTES)),
        ("PASSWORD=hunter2$", Problem("PASSWORD", DOLLAR, QUOTES)),
        ("PASSWORD=$$hunter2", Problem("PASSWORD", DOLLAR, QUOTES)),
        ("A=$HOME/backups", Problem("A", "refers to $HOME, which .env does not set", QUOTES)),
        ("A=1$", Problem("A", DOLLAR, QUOTES)),
        ("A=1\nB=2\nA=3", Problem("A", TWICE, "remove one of them")),
        ("\nhunter2", Problem(".env, line 2", "is no assignment", "write NAME=value, or a # in front of a comment")),
        (
            "A='hunter2\nB=2",
            Problem(".env, line 1", "begins a value with a quote and does not end it", SAME_QUOTE),
        ),
        (
            "A='1'hunter2\n",
            Problem(".env, line 1", "goes on after the closing quote", "put the whole value between the quotes"),
        ),
    ],
)  # fmt: skip
def test_what_is_pointed_out(text: str, problem: Problem) -> None:
    found = parse(text, KNOWN, {"PASSWORD"})
    assert found.problems == (problem,)
    assert "hunter2" not in str(found.problems)


def test_everything_is_told_at_once_and_the_rest_is_still_read() -> None:
    found = parse("nonsense\nPASSWORD=a$b\nA='x\nB=2\n", KNOWN, {"PASSWORD"})
    assert [problem.where for problem in found.problems] == [".env, line 1", "PASSWORD", ".env, line 3"]
    assert found.values == {"B": "2"}


def test_the_applications_own_variables_are_left_alone() -> None:
    assert parse("APP_KEY=a$b\nAPP_KEY=c", known_variables(), secret_variables()).problems == ()


def test_every_variable_with_a_secret_is_known_to_be_one() -> None:
    words = (
        "PASSWORD",
        "SECRET",
        "TOKEN",
        "CIPHER_PASS",
        "GCS_KEY",
        "AZURE_KEY",
        "DATABASE_URL",
        "ACCESS_KEY",
        "STORAGE_KEY",
    )
    harmless = {"GCS_KEY", *(name for name in known_variables() if name.endswith(("KEY_TYPE", "KMS_KEY_ID")))}
    looks_secret = {name for name in known_variables() if any(word in name for word in words)} - harmless
    assert looks_secret <= secret_variables()


printable = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["C"]), max_size=30)


@run_with(deadline=None, database=None)
@given(value=printable.filter(lambda text: "'" not in text and "\\" not in text))
def test_single_quotes_carry_anything(value: str) -> None:
    assert parse(f"PASSWORD='{value}'", KNOWN, {"PASSWORD"}).values == {"PASSWORD": value}


@run_with(deadline=None, database=None)
@given(text=st.text(max_size=60))
def test_any_text_is_read_to_its_end(text: str) -> None:
    found = parse(text + "\nLAST='1'\n", {"LAST"}, ())
    assert found.problems or found.values.get("LAST") == "1"
