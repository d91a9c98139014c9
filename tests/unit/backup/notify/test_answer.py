"""Answers: what counts as taken, and words in which no secret is left."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.notify.answer import http, masked

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#backups"


@pytest.mark.parametrize("status", range(100, 600))
def test_only_2xx_is_taken(status: int) -> None:
    assert http(status).taken is (200 <= status <= 299)
    assert http(status).said.startswith(f"HTTP {status}")


def test_a_redirect_says_what_to_do_about_it() -> None:
    assert http(302).said == "HTTP 302 Found, a redirect, which is not followed: use the address it leads to"


def test_a_receiver_may_ask_for_time_only_when_it_refuses() -> None:
    assert http(429, timedelta(seconds=3)).asked_for == timedelta(seconds=3)
    assert http(200, timedelta(seconds=3)).asked_for is None


@pytest.mark.parametrize(
    ("said", "remains"),
    [
        ("no route to T1JJ3T3L2", "no route to ***"),
        (f"cannot post to {SLACK}", "cannot post to ***"),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
         "https://hooks.slack.com/services/***/***/***"),
        ("Failed to send to slack: Unauthorized, error=401.", "Failed to send to slack: Unauthorized, error=401."),
    ],
)  # fmt: skip
def test_parts_of_the_address_are_masked_but_not_what_is_shown(said: str, remains: str) -> None:
    assert masked(said, (SLACK, None), "slack") == remains


def test_a_password_that_is_escaped_in_the_address_is_masked_in_both_forms() -> None:
    url = "mailtos://admin:p%40ss%2Fw0rd@example.com"
    said = masked("login as admin with p@ss/w0rd or p%40ss%2Fw0rd failed at example.com", (url,), "e-mail to example.com")
    assert "p@ss" not in said
    assert "w0rd" not in said
    assert said.endswith("failed at example.com")


def test_words_are_not_endless() -> None:
    assert len(masked("x" * 10_000, (), "")) <= 201


@given(secret=st.text("abcdefXYZ0123456789-_", min_size=8, max_size=40), around=st.text(max_size=20))
def test_no_secret_survives(secret: str, around: str) -> None:
    said = f"{around}{secret}{around}"
    assert secret not in masked(said, (f"https://example.com/hook/{secret}?x=1",), "example.com")
    assert secret not in masked(said, ("https://example.com", secret), "example.com")
