"""The configuration file between the images: it survives being written, and refuses what it does not know."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contract.supervisor import Database, Repository, Schedule, SupervisorConfig

CRON = st.none() | st.sampled_from(["0 2 * * 0", "*/5 * * * *"])
CONFIGS = st.builds(
    SupervisorConfig,
    mode=st.sampled_from(["backups", "off"]),
    reason=st.text(),
    stanza=st.text(),
    time_zone=st.text(),
    database=st.builds(Database, user=st.text(), name=st.text(), port=st.integers(1, 65535)),
    schedule=st.builds(Schedule, full=CRON, diff=CRON, incr=CRON),
    repositories=st.tuples() | st.tuples(st.builds(Repository, type=st.just("posix"))),
)


@given(CONFIGS)
def test_what_is_written_is_read_again(config: SupervisorConfig) -> None:
    assert SupervisorConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("schedule", "expressions"),
    [
        (Schedule(full="1 * * * *", diff="2 * * * *", incr="3 * * * *"), ["full", "diff", "incr"]),
        (Schedule(full=None, diff="2 * * * *"), ["diff"]),
        (Schedule(full="", diff=None), []),
    ],
)
def test_only_scheduled_types_have_an_expression_the_most_thorough_first(schedule: Schedule, expressions: list[str]) -> None:
    assert list(schedule.expressions()) == expressions


@pytest.mark.parametrize("change", [{"secret": "x"}, {"schema_version": 2}, {"mode": "maybe"}])
def test_what_is_not_known_is_refused(change: dict[str, Any]) -> None:
    config = SupervisorConfig(
        mode="off",
        reason="",
        stanza="salespider",
        time_zone="UTC",
        database=Database(user="postgres", name="salespider"),
        schedule=Schedule(full=None, diff=None),
        repositories=(),
    )
    with pytest.raises(ValidationError):
        SupervisorConfig.model_validate({**config.model_dump(), **change})


def test_it_cannot_be_changed_in_passing() -> None:
    with pytest.raises(ValidationError):
        Database(user="postgres", name="x").port = 1  # type: ignore[misc] # that is the point
