"""The verdicts, look by look: what stands, what is over, and that each is told once."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backup.notice import is_worse
from backup.watch.memory import Elapsed, Memory, Rungs
from backup.watch.readings import Sample, Standing, Volume, WalReading
from backup.watch.refusals import Refusal, Refusals
from backup.watch.verdicts import Verdict, judge
from contract import events
from contract.supervisor import Thresholds
from tests.unit.backup.fakes import NOON, SEGMENT, make_wal

GB = 10**9
ALLOWED = Thresholds()
ROOMY = Volume("data", ("repository1", "log", "state"), 80 * GB, 100 * GB)
FAILED = {"failed_count": 3, "last_failed_wal": "000000010000000000000006", "last_failed_at": NOON}


class Scene:
    """Looks a minute apart, and what is told of them: an alarm when it is new or worse, its end once."""

    def __init__(self, allowed: Thresholds = ALLOWED) -> None:
        self.allowed = allowed
        self.memory = Memory()
        self.recent: list[Sample] = []
        self.now = NOON
        self.open: dict[str, Standing] = {}
        self.told: list[tuple[str, str]] = []
        self.summaries: list[str] = []

    def look(
        self,
        wal: WalReading | None = None,
        *volumes: Volume,
        rate: float | None = 0.0,
        minutes: float = 1,
        seconds: float = 60,
        jumped: bool = False,
        down: bool = False,
        refusals: Refusals | None = None,
    ) -> Verdict:
        self.now += timedelta(minutes=minutes)
        sample = Sample(
            self.now,
            None if down else wal or make_wal(),
            volumes or (ROOMY,),
            "refused" if down else "",
            rate,
            rate,
            refusals,
        )
        elapsed = Elapsed.between_looks(seconds, jumped)
        verdict = judge(self.memory, sample, self.recent[-15:], elapsed, self.allowed)
        self.memory = Memory.from_json(json.loads(json.dumps(verdict.memory.as_json())))  # as a restart would
        assert self.memory == verdict.memory
        self.recent.append(sample)
        self._tell(verdict)
        return verdict

    def _tell(self, verdict: Verdict) -> None:
        for standing in verdict.standing:
            before = self.open.get(standing.key)
            if before is None or is_worse(standing.severity, before.severity) or standing.key in verdict.worse:
                self.told.append((standing.event, standing.severity))
            self.open[standing.key] = standing
        for over in verdict.over:
            if self.open.pop(over.key, None):
                self.told.append((over.event, ""))
                self.summaries.append(over.summary)
        assert not {s.key for s in verdict.standing} & {o.key for o in verdict.over}


@pytest.fixture
def scene() -> Scene:
    return Scene()


def waiting(segments: int, minutes: float, **given: Any) -> WalReading:
    return make_wal(ready_segments=segments, oldest_ready_seconds=minutes * 60, **given)


# --- the archiver -----------------------------------------------------------------------------------------------------


def test_all_is_well(scene: Scene) -> None:
    verdict = scene.look()
    assert (verdict.archiver, verdict.standing) == ("working", ())
    assert verdict.full_in_hours is None
    assert verdict.catch_up_seconds is None


def test_a_stall_is_told_once_when_it_is_late_again_when_it_is_critical_and_its_end_once(scene: Scene) -> None:
    for minute in range(1, 75):
        verdict = scene.look(waiting(minute, minute, **FAILED), rate=SEGMENT / 60)
        expected = "failing" if minute < 10 else "stalled"
        assert verdict.archiver == expected, minute
    assert scene.told == [(events.ARCHIVER_STALLED, "warning"), (events.ARCHIVER_STALLED, "critical")]
    (standing,) = verdict.standing
    assert standing.message == (
        "archiving is behind: 74 WAL segments (1.2 GB) wait, the oldest for 1 h 14 min; "
        "the latest attempt failed at 000000010000000000000006; the disk lasts 2 d 14 h at the present rate of WAL"
    )
    assert standing.facts["waiting_segments"] == 74
    assert standing.facts["full_in_hours"] == 62.1
    back = make_wal(
        last_archived_wal=f"{1:08X}{0:08X}{5 + 74:08X}",
        last_archived_at=scene.now + timedelta(seconds=50),
        archived_count=79,
    )
    scene.look(back)
    assert scene.look(back).archiver == "working"
    assert scene.told[2:] == [(events.ARCHIVER_RECOVERED, "")]
    assert scene.summaries == ["archiving works again after 1 h 15 min; 74 WAL segments (1.2 GB) caught up"]


def segment(number: int) -> str:
    return f"{1:08X}{0:08X}{number:08X}"


def refused(through: int | None) -> Refusals:
    """Repository 2 takes nothing; repository 1 has all until this segment."""
    dead = Refusal(2, 104, "[HostConnectError] unable to connect", location="bucket")
    return Refusals((dead,), (1,), None if through is None else segment(through))


def test_the_dead_one_of_two_is_named_with_its_reason_and_the_other_one_as_far_as_it_is(scene: Scene) -> None:
    failing = waiting(74, 30, wal_position=80 * SEGMENT, **FAILED)
    (standing,) = scene.look(failing, refusals=refused(79)).standing
    assert standing.message == (
        "archiving is behind: 74 WAL segments (1.2 GB) wait, the oldest for 30 min 0 s; "
        "repository 2 (bucket) takes no WAL: [HostConnectError] unable to connect; repository 1 is kept current"
    )
    assert standing.hint.startswith("look at that repository")


def test_the_other_one_is_current_only_as_long_as_that_is_so(scene: Scene) -> None:
    (standing,) = scene.look(waiting(74, 30, wal_position=80 * SEGMENT, **FAILED), refusals=refused(76)).standing
    assert standing.message.endswith("repository 1 took all but the newest 3 in the latest attempt")
    (standing,) = scene.look(waiting(74, 30, wal_position=80 * SEGMENT, **FAILED), refusals=refused(None)).standing
    assert standing.message.endswith("repository 1 took all but the newest 3 in the latest attempt"), "it keeps what it has"


def test_where_nothing_shows_that_the_other_one_takes_it_nothing_is_said(scene: Scene) -> None:
    (standing,) = scene.look(waiting(74, 30, **FAILED), refusals=refused(None)).standing
    assert standing.message.endswith("unable to connect")


def test_between_two_attempts_the_reason_is_remembered_until_one_succeeds(scene: Scene) -> None:
    scene.look(waiting(74, 30, **FAILED), refusals=refused(78))
    (standing,) = scene.look(waiting(75, 31, **FAILED)).standing
    assert "repository 2 (bucket) takes no WAL" in standing.message
    succeeded = {**FAILED, "last_archived_at": scene.now + timedelta(seconds=50)}
    (standing,) = scene.look(waiting(60, 25, **succeeded), refusals=refused(78)).standing
    assert "repository 2" not in standing.message


def test_a_crash_of_the_server_forgets_no_reason(scene: Scene) -> None:
    scene.look(waiting(74, 30, **FAILED), refusals=refused(78))
    (standing,) = scene.look(waiting(75, 31, last_archived_at=None, last_archived_wal=None, archived_count=0)).standing
    assert "repository 2 (bucket) takes no WAL" in standing.message


def test_the_end_is_told_for_the_one_that_was_dead_with_how_long_and_how_much(scene: Scene) -> None:
    for minute in range(1, 31):
        scene.look(waiting(minute, minute, **FAILED), refusals=refused(None))
    verdict = scene.look(make_wal(last_archived_wal=segment(5 + 30), last_archived_at=scene.now + timedelta(seconds=50)))
    assert scene.summaries == [
        "repository 2 can be archived to again after 31 min 0 s; 30 WAL segments (503.3 MB) caught up"
    ]
    over = next(over for over in verdict.over if over.key == "archiver")
    assert over.facts == {"seconds": 1860, "segments": 30, "bytes": 30 * SEGMENT}


def test_what_waits_for_less_than_allowed_is_no_stall(scene: Scene) -> None:
    for _ in range(100):
        scene.look(waiting(1, 9.9))
    assert scene.told == []


def test_a_stall_that_drains_is_catching_up_with_the_time_that_takes(scene: Scene) -> None:
    for minute in range(1, 31):
        scene.look(waiting(4 * minute, minute, **FAILED))
    ok = {"last_archived_at": scene.now, "failed_count": 3, "last_failed_at": scene.now - timedelta(minutes=1)}
    for number in range(1, 6):
        name = f"{1:08X}{0:08X}{5 + 20 * number:08X}"
        verdict = scene.look(waiting(120 - 20 * number, 30 - 4 * number, last_archived_wal=name, **ok))
    assert verdict.archiver == "catching up"
    assert verdict.catch_up_seconds == pytest.approx(60)
    assert verdict.full_in_hours is None
    assert scene.told == [(events.ARCHIVER_STALLED, "warning")]
    scene.look(make_wal(last_archived_wal=f"{1:08X}{0:08X}{130:08X}", **ok))
    assert scene.summaries == ["archiving works again after 36 min 0 s; 125 WAL segments (2.1 GB) caught up"]


def test_an_age_around_the_limit_is_one_alarm(scene: Scene) -> None:
    for number in range(50):
        scene.look(waiting(3, 9 + 2 * (number % 2), last_archived_wal=f"{1:08X}{0:08X}{number:08X}"))
    assert scene.told == [(events.ARCHIVER_STALLED, "warning")]


def test_failing_that_long_is_a_stall_even_if_no_file_is_old(scene: Scene) -> None:
    for _ in range(12):
        scene.look(waiting(1, 0.5, **FAILED))
    assert scene.told == [(events.ARCHIVER_STALLED, "warning")]


def test_a_failure_of_the_past_with_nothing_waiting_is_none(scene: Scene) -> None:
    for _ in range(100):
        assert scene.look(make_wal(**FAILED)).archiver == "working"
    assert scene.told == []


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"archive_command": "/bin/true"}, "archive_command is '/bin/true'"),
        ({"archive_mode": "off"}, "archive_mode is off"),
        ({"archive_library": "basic_archive"}, "archive_library is 'basic_archive'"),
    ],
)
def test_archiving_to_nowhere_is_told_although_every_counter_says_all_is_well(
    scene: Scene, configuration: dict[str, str], said: str
) -> None:
    for number in range(5):
        wal = make_wal(archived_count=number, last_archived_wal=f"{1:08X}{0:08X}{number:08X}", **configuration)
        assert scene.look(wal).archiver == "off"
    assert scene.told == [(events.ARCHIVER_STALLED, "critical")]
    assert said in scene.open["archiver"].message
    assert "make backup" in scene.open["archiver"].hint
    scene.look()
    assert scene.told[1:] == [(events.ARCHIVER_RECOVERED, "")]
    assert scene.summaries[0].endswith("but what was written meanwhile is not archived")


def test_archiving_may_be_off_for_the_moment_of_a_restart(scene: Scene) -> None:
    scene.look(make_wal(archive_mode="off"), seconds=30)
    assert scene.told == []
    scene.look(make_wal(archive_mode="off"), seconds=30)
    assert scene.told == [(events.ARCHIVER_STALLED, "critical")]


def test_a_stall_that_somebody_ends_by_switching_archiving_off_is_the_same_stall_and_worse(scene: Scene) -> None:
    for minute in range(1, 31):
        scene.look(waiting(minute, minute, **FAILED))
    began = scene.open["archiver"].facts["since"]
    scene.look(make_wal(archive_command="/bin/true"))
    assert scene.open["archiver"].facts["since"] == began
    assert scene.told == [(events.ARCHIVER_STALLED, "warning"), (events.ARCHIVER_STALLED, "critical")]
    scene.look()
    assert scene.summaries == ["archiving works again after 32 min 0 s, but what was written meanwhile is not archived"]


def test_while_an_attempt_fails_nothing_says_that_archiving_works(scene: Scene) -> None:
    verdict = scene.look(waiting(1, 1, **FAILED))
    assert verdict.archiver == "failing"
    assert "archiver" not in {over.key for over in verdict.over}


def test_an_empty_command_keeps_the_log_and_is_told_as_well(scene: Scene) -> None:
    for _ in range(3):
        verdict = scene.look(waiting(5, 1, archive_command=""))
    assert verdict.archiver == "off"
    assert "make backup`, because" not in scene.open["archiver"].hint
    assert scene.told == [(events.ARCHIVER_STALLED, "critical")]


@pytest.mark.parametrize("hours", [24, -24])
def test_a_clock_that_is_set_is_no_stall(scene: Scene, hours: int) -> None:
    scene.look(waiting(1, 1))
    scene.look(waiting(1, 1 + max(0, hours * 60)), minutes=hours * 60 + 1, jumped=True)
    for _ in range(5):
        scene.look(waiting(1, 1))
    assert scene.told == []


def test_a_clock_that_is_set_back_ends_no_stall(scene: Scene) -> None:
    for minute in range(1, 20):
        scene.look(waiting(minute, minute, **FAILED))
    stuck = make_wal(ready_segments=20, oldest_ready_seconds=0.0, last_archived_at=NOON + timedelta(days=1), **FAILED)
    scene.look(stuck, minutes=-1440, jumped=True)
    for _ in range(5):
        assert scene.look(stuck).archiver == "stalled"
    assert scene.told == [(events.ARCHIVER_STALLED, "warning")]


def test_an_unreachable_database_neither_ends_a_stall_nor_begins_one(scene: Scene) -> None:
    for minute in range(1, 12):
        scene.look(waiting(minute, minute, **FAILED))
    verdict = scene.look(down=True)
    assert verdict.archiver == "unknown"
    assert [standing.key for standing in verdict.standing] == ["archiver"]
    scene.look(make_wal(in_recovery=True))
    assert scene.told == [(events.ARCHIVER_STALLED, "warning")]


# --- the database -----------------------------------------------------------------------------------------------------


def test_a_database_that_is_away_for_minutes_is_told_once_and_its_return_once(scene: Scene) -> None:
    for _ in range(4):
        scene.look(down=True)
    assert scene.told == []
    for _ in range(100):
        scene.look(down=True)
    scene.look()
    scene.look()
    assert scene.told == [(events.DATABASE_DOWN, "critical"), (events.DATABASE_UP, "")]


def test_a_restart_is_not_told(scene: Scene) -> None:
    for _ in range(20):
        for _ in range(4):
            scene.look(down=True)
        scene.look()
    assert scene.told == []


def test_a_recovery_is_a_warning(scene: Scene) -> None:
    for _ in range(10):
        scene.look(make_wal(in_recovery=True))
    assert scene.told == [(events.DATABASE_DOWN, "warning")]


def test_a_clock_set_forward_makes_a_short_absence_no_longer(scene: Scene) -> None:
    scene.look(down=True)
    scene.look(down=True, minutes=1440, jumped=True)
    assert scene.told == []


# --- the disks --------------------------------------------------------------------------------------------------------


def filled(percent: float, name: str = "data") -> Volume:
    return Volume(name, (), round((100 - percent) * GB), 100 * GB)


def test_each_threshold_of_fill_is_told_once(scene: Scene) -> None:
    for tenths in range(600, 960):
        scene.look(None, filled(tenths / 10), filled(10, "repository1"))
    assert scene.told == [(events.DISK_FILLING, "warning"), (events.DISK_FILLING, "critical")]
    for tenths in range(960, 600, -1):
        scene.look(None, filled(tenths / 10), filled(10, "repository1"))
    assert scene.told[2:] == [(events.DISK_RECOVERED, "")]
    assert scene.summaries == ["the volume data has room again: 67 % used, 33.1 GB free"]


def test_a_volume_that_breathes_around_the_threshold_is_one_alarm(scene: Scene) -> None:
    for number in range(100):
        scene.look(None, filled(68.0 + 3 * (number % 2)))
    assert scene.told == [(events.DISK_FILLING, "warning")]


def test_every_volume_is_judged_and_named(scene: Scene) -> None:
    verdict = scene.look(None, filled(10), filled(71, "repository2"), filled(95, "state"))
    assert {s.key: s.severity for s in verdict.standing} == {"disk:repository2": "warning", "disk:state": "critical"}
    assert "BACKUP_RETENTION_FULL" in verdict.standing[0].hint


def test_a_volume_that_cannot_be_looked_at_keeps_its_alarm(scene: Scene) -> None:
    scene.look(None, filled(75))
    scene.look(None, Volume("data"))
    assert scene.told == [(events.DISK_FILLING, "warning")]
    assert "not readable" in scene.open["disk:data"].message


def test_a_volume_that_is_gone_ends_its_alarm(scene: Scene) -> None:
    scene.look(None, filled(10), filled(75, "repository2"))
    scene.look(None, filled(10))
    scene.look(None, filled(10))
    assert scene.told == [(events.DISK_FILLING, "warning"), (events.DISK_RECOVERED, "")]


def stalled(scene: Scene, free_gb: float, rate_gb_an_hour: float = 1.0) -> Verdict:
    """A look while nothing has been archived for an hour, so that only the disk changes."""
    volume = Volume("data", (), round((free_gb + 50) * GB), 1000 * GB)
    return scene.look(waiting(60, 30, **FAILED), volume, rate=rate_gb_an_hour * GB / 3600)


def test_the_hours_that_are_left_are_told_at_each_threshold() -> None:
    scene = Scene(Thresholds(disk_percent=99))
    for tenths in range(400, 0, -1):
        stalled(scene, tenths / 10 * 1.2)
    told = [severity for event, severity in scene.told if event == events.DISK_FILLING]
    assert told == ["warning", "warning", "critical"]
    assert "full in 6 min 0 s at the present rate of WAL" in scene.open["disk:data"].message
    assert "never delete files in pg_wal" in scene.open["disk:data"].hint


def test_hours_around_a_threshold_are_one_alarm() -> None:
    scene = Scene(Thresholds(disk_percent=99))
    for number in range(100):
        stalled(scene, (23.5 + number % 2) * 1.2)
    assert [event for event, _ in scene.told].count(events.DISK_FILLING) == 1


def test_while_archiving_works_no_hours_are_told_but_how_long_it_could_stop_is() -> None:
    scene = Scene(Thresholds(disk_percent=99))
    verdict = scene.look(None, Volume("data", (), 56 * GB, 1000 * GB), rate=10 * GB / 3600)
    assert verdict.safe_hours == pytest.approx(0.5)
    assert verdict.full_in_hours is None
    assert scene.told == []


def test_a_single_failed_attempt_is_no_alarm_of_the_disk() -> None:
    scene = Scene(Thresholds(disk_percent=99))
    verdict = scene.look(waiting(1, 1, **FAILED), Volume("data", (), 56 * GB, 1000 * GB), rate=10 * GB / 3600)
    assert verdict.full_in_hours == pytest.approx(0.5)
    assert scene.told == []


def test_the_alarm_of_the_hours_stands_while_the_archive_catches_up() -> None:
    scene = Scene(Thresholds(disk_percent=99))
    volume = Volume("data", (), 56 * GB, 1000 * GB)
    scene.look(waiting(60, 30, **FAILED), volume, rate=GB / 3600)
    verdict = scene.look(waiting(50, 25, last_archived_wal="000000010000000000000009"), volume, rate=GB / 3600)
    assert (verdict.archiver, verdict.full_in_hours) == ("catching up", None)
    assert "disk:data" in scene.open


def test_the_alarm_of_the_hours_ends_with_the_stall() -> None:
    scene = Scene(Thresholds(disk_percent=99))
    stalled(scene, 5 * 1.2)
    scene.look(None, Volume("data", (), 56 * GB, 1000 * GB), rate=1.0)
    assert [event for event, _ in scene.told] == [
        events.ARCHIVER_STALLED,
        events.DISK_FILLING,
        events.ARCHIVER_RECOVERED,
        events.DISK_RECOVERED,
    ]


def test_a_backlog_that_grows_fills_the_disk_with_what_is_too_much() -> None:
    scene = Scene()
    for minute in range(1, 6):
        verdict = scene.look(waiting(10 * minute, 1), Volume("data", (), 60 * GB, 200 * GB), rate=20 * SEGMENT / 60)
    assert verdict.archiver == "behind"
    assert verdict.full_in_hours == pytest.approx(50 * GB / (10 * SEGMENT * 60 * 1.2), rel=0.01)


# --- whatever happens -------------------------------------------------------------------------------------------------

MOMENTS = st.none() | st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
READINGS = st.builds(
    make_wal,
    in_recovery=st.booleans(),
    timeline=st.integers(1, 2),
    archive_mode=st.sampled_from(["on", "off"]),
    archive_command=st.sampled_from(["pgbackrest archive-push %p", "true", ""]),
    last_archived_wal=st.sampled_from([None, "000000010000000000000005", "00000002.history", "000000010000000000000009"]),
    last_archived_at=MOMENTS,
    last_failed_wal=st.sampled_from([None, "000000010000000000000006"]),
    last_failed_at=MOMENTS,
    ready_segments=st.integers(0, 100_000),
    oldest_ready_seconds=st.none() | st.floats(0, 1e7),
)
VOLUMES = st.builds(
    lambda name, free, used: Volume(name, (), free, free + used),
    st.just("data"),
    st.integers(0, 2**45),
    st.integers(0, 2**45),
) | st.just(Volume("data"))
LOOKS = st.lists(
    st.tuples(st.none() | READINGS, VOLUMES, st.none() | st.floats(0, 1e10), st.booleans(), st.floats(-2000, 2000)),
    max_size=25,
)


@given(LOOKS)
def test_every_alarm_is_told_once_until_it_is_over_and_every_number_is_one(looks: list[Any]) -> None:
    scene = Scene()
    for wal, volume, rate, jumped, minutes in looks:
        verdict = scene.look(wal, volume, rate=rate, jumped=jumped, minutes=minutes, down=wal is None)
        for number in (verdict.safe_hours, verdict.full_in_hours, verdict.catch_up_seconds):
            assert number is None or (number >= 0 and math.isfinite(number))
        assert {standing.key for standing in verdict.standing} <= set(scene.open)
    assert len(scene.summaries) <= len(scene.told)
    for key in ("archiver.", "database."):
        ends = [
            event
            for event, _ in scene.told
            if event.startswith(key) and event in {events.ARCHIVER_RECOVERED, events.DATABASE_UP}
        ]
        begins = [event for event, _ in scene.told if event.startswith(key)]
        assert len(ends) * 2 <= len(begins)


@given(st.lists(st.floats(0, 100), min_size=1, max_size=60))
def test_a_full_volume_is_always_an_alarm_and_an_empty_one_never(fills: list[float]) -> None:
    scene = Scene()
    for fill in fills:
        scene.look(None, filled(fill))
        assert ("disk:data" in scene.open) or fill < 70.01
        assert ("disk:data" not in scene.open) or fill > 66.99


@given(st.lists(st.floats(0.1, 60), min_size=1, max_size=60))
def test_hours_are_told_again_only_when_a_new_threshold_is_crossed(hours: list[float]) -> None:
    scene = Scene(Thresholds(disk_percent=99))
    for left in hours:
        stalled(scene, left * 1.2)
        rungs = scene.memory.rungs.get("data", Rungs())
        assert rungs.hours >= sum(left <= step - 0.01 for step in (24, 6, 1))
        assert rungs.hours <= sum(left <= step * 1.25 + 0.01 for step in (24, 6, 1))


def test_a_memory_of_another_version_is_forgotten() -> None:
    assert Memory.from_json(None) == Memory()
    assert Memory.from_json({"stall": {"something": "else"}}) == Memory()
    assert Memory.from_json([]) == Memory()


def test_a_threshold_of_the_operators_own_counts() -> None:
    scene = Scene(Thresholds(disk_percent=95))
    scene.look(None, filled(94))
    assert scene.told == []
    verdict = scene.look(None, filled(96))
    assert verdict.standing[0].severity == "critical"


def test_no_patience_at_all_is_a_minute() -> None:
    scene = Scene(Thresholds(archive_late_minutes=0))
    assert scene.look().archiver == "working"
    assert scene.look(waiting(1, 0.9)).archiver == "working"
    assert scene.look(waiting(1, 1)).archiver == "stalled"


def test_the_memory_holds_what_a_restart_needs() -> None:
    scene = Scene()
    for minute in range(1, 12):
        scene.look(waiting(minute, minute, **FAILED), filled(75))
    restarted = Scene()
    restarted.memory, restarted.open, restarted.now = scene.memory, dict(scene.open), scene.now
    restarted.look(waiting(12, 12, **FAILED), filled(75))
    assert restarted.told == []
