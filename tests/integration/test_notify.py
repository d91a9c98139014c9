"""Notifications leave this process, over real connections: to receivers that take them, refuse them, hang and die."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import apprise
import pytest

from backup import process
from backup.deployment import Deployment, Volumes
from backup.notice import Notice
from backup.notify import web
from backup.notify.command import ask_all
from backup.notify.courier import Courier
from backup.notify.heartbeat import heartbeat
from backup.notify.sender import Sender
from backup.state.outbox import Outbox
from backup.state.store import Store
from contract import paths
from contract.receivers import Receiver, Receivers
from contract.supervisor import Database, Schedule, SupervisorConfig
from tests.integration.receiver import Habit, LocalReceiver, Request, make_certificate, receiver, says
from tests.integration.site import wait_until

GUIDE = re.findall(r"\| `([a-z]+://[^`]+)` \|", Path("/src/docs/guide/notifications.md").read_text("utf-8"))

SECRET = "a-signing-secret-of-the-tests"
TOKEN = "a-bearer-token-of-the-tests"


@dataclass
class Office:
    """A deployment's state and its file of receivers, and the process that sends."""

    deployment: Deployment

    @property
    def store(self) -> Store:
        return self.deployment.store

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.store)

    @property
    def argv(self) -> tuple[str, ...]:
        volumes = self.deployment.volumes
        return ("python3", "-m", "backup.notify", "--state", str(volumes.history), "--config", str(volumes.config))

    def tells(self, *receivers: Receiver, heartbeat_url: str | None = None) -> None:
        told = Receivers(receivers=receivers, heartbeat_url=heartbeat_url)
        (self.deployment.volumes.config / paths.RECEIVERS_JSON).write_text(told.model_dump_json())
        self.deployment = replace(self.deployment, receivers=told)

    def put(self, *summaries: str, to: tuple[str, ...] | None = None) -> None:
        ids = to or tuple(each.id for each in self.deployment.receivers.receivers)
        for summary in summaries:
            notice = Notice("backup.failed", "critical", summary, "look", facts={"repo": 1})
            self.outbox.put(notice, ids, datetime.now(UTC))

    def send(self) -> process.Finished:
        """Run the process to its end."""
        return process.run(self.argv, print, process.Limits(threading.Event(), 120.0, 5.0))

    def errors(self) -> dict[str, str]:
        return {each.receiver: each.last_error for each in self.outbox.waiting()}

    def lease_ends(self) -> None:
        """Let the time pass for which an attempt that was cut off keeps its message."""
        self.store.write("UPDATE delivery SET not_before = 0 WHERE delivered_at IS NULL")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    config = SupervisorConfig(
        mode="hosted",
        reason="only its name and time zone are needed here",
        stanza="salespider",
        time_zone="UTC",
        database=Database(user="postgres", name="postgres"),
        schedule=Schedule(full=None, diff=None),
        repositories=(),
    )
    volumes = Volumes(config=tmp_path / "config", history=tmp_path / "state.sqlite", log=tmp_path)
    volumes.config.mkdir()
    (volumes.config / paths.SUPERVISOR_JSON).write_text(config.model_dump_json())
    (volumes.config / paths.MANIFEST_JSON).write_text("{}")
    store = Store(volumes.history)
    # no database: nothing here may ask for one
    yield Office(Deployment(config, "", None, store, volumes=volumes))  # type: ignore[arg-type]
    store.close()


def hook(url: str, name: str = "hook") -> Receiver:
    return Receiver(id=name, kind="webhook", url=f"{url}/hook/secret-part", shown="a receiver")


def test_a_webhook_gets_signed_json_in_order(office: Office) -> None:
    with receiver() as local:
        office.tells(hook(local.url).model_copy(update={"signing_secret": SECRET, "bearer_token": TOKEN}))
        office.put("one", "two", "three")
        finished = office.send()
    assert (finished.exit_code, finished.tail) == (0, ())
    assert local.summaries == ["one", "two", "three"]
    first = local.requests[0]
    assert (first.method, first.path) == ("POST", "/hook/secret-part")
    assert first.headers["content-type"] == "application/json"
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert first.headers["webhook-id"] == first.json["id"]
    signed = f"{first.json['id']}.{first.headers['webhook-timestamp']}.".encode() + first.body
    digest = hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()
    assert first.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert office.outbox.waiting() == ()


def test_only_2xx_is_delivered_and_every_failure_is_named_without_a_secret(office: Office, tmp_path: Path) -> None:
    """All at once: whoever hangs must not keep the others."""
    certificate = make_certificate(tmp_path / "certificate.pem")
    habits: dict[str, Habit | str] = {
        "good": says(202), "error": says(500), "forbidden": says(403), "hangs": "hangs", "drips": "drips", "dies": "dies",
        "elsewhere": says(200), "busy": says(429, retry_after="1800"), "greedy": says(503, retry_after="99999999"),
    }  # fmt: skip
    with ExitStack() as stack:
        made = {name: stack.enter_context(receiver(habit)) for name, habit in habits.items()}
        made["redirects"] = stack.enter_context(receiver(says(307, location=f"{made['elsewhere'].url}/x")))
        made["untrusted"] = stack.enter_context(receiver(certificate=certificate))
        urls = {name: local.url for name, local in made.items() if name != "elsewhere"}
        urls |= {"closed": "http://127.0.0.1:9", "nowhere": "http://no-such-host.invalid"}
        office.tells(*(hook(url, name) for name, url in urls.items()))
        office.put("one", "two")
        began = time.monotonic()
        assert office.send().tail == ()
        seconds = time.monotonic() - began
        now = datetime.now(UTC)
    errors = office.errors()
    assert errors.keys() == urls.keys() - {"good"}
    assert made["good"].summaries == ["one", "two"]
    assert made["elsewhere"].requests == []
    assert made["untrusted"].requests == []
    assert [len(made[name].requests) for name in ("error", "forbidden", "hangs", "dies", "redirects")] == [1] * 5
    assert seconds < 25
    assert errors["error"] == "HTTP 500 Internal Server Error"
    assert errors["forbidden"] == "HTTP 403 Forbidden"
    assert errors["redirects"].startswith("HTTP 307 Temporary Redirect, a redirect, which is not followed")
    assert errors["hangs"] == "no answer in time"
    assert errors["drips"] == "no answer within 15 s"
    assert "refused" in errors["closed"]
    assert "certificate verify failed" in errors["untrusted"]
    assert errors["nowhere"]
    assert errors["dies"]
    assert not [error for error in errors.values() if "secret-part" in error or "hook" in error]
    assert office.outbox.due(["busy"], now + timedelta(minutes=29)) == ()
    assert office.outbox.due(["busy"], now + timedelta(minutes=31)) == ("busy",)
    assert office.outbox.due(["greedy"], now + timedelta(minutes=61)) == ("greedy",)


def test_tls_is_verified(tmp_path: Path) -> None:
    with receiver(certificate=make_certificate(tmp_path / "certificate.pem")) as local:
        assert web.get(local.url, local.trusted_by).taken
        assert not web.get(local.url).taken
        assert not web.get(local.url.replace("127.0.0.1", "localhost"), local.trusted_by).taken
    assert len(local.requests) == 1


def until_it_sends(child: subprocess.Popen[bytes], *receivers: LocalReceiver) -> None:
    """Wait until a process has sent something or ended: how long it takes to start depends on what else the host does."""
    before = sum(len(each.requests) for each in receivers)
    wait_until(lambda: child.poll() is not None or sum(len(each.requests) for each in receivers) > before, 60)


def test_killed_at_any_moment_everything_arrives_in_order_and_twice_only_with_the_same_id(office: Office) -> None:
    chance = random.Random(20261121)
    summaries = [str(number) for number in range(60)]

    def slowly(request: Request) -> None:
        time.sleep(0.01)
        request.answer(200)

    kills = 0
    with receiver(slowly) as one, receiver(slowly) as two:
        office.tells(hook(one.url, "one"), hook(two.url, "two"))
        office.put(*summaries)
        while office.outbox.waiting():
            child = subprocess.Popen(office.argv, start_new_session=True, cwd="/opt/salespider")
            if chance.random() < 0.8:  # else it is killed while it starts
                until_it_sends(child, one, two)
            try:
                child.wait(chance.uniform(0, 0.4))
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                kills += 1
            office.lease_ends()
    assert kills >= 3
    for local in (one, two):
        once = {request.json["id"]: request.json["summary"] for request in local.requests}
        assert list(once.values()) == summaries
        order = [int(summary) for summary in local.summaries]
        assert order == sorted(order)
        assert len(order) - len(once) <= kills


def test_a_second_process_sends_nothing_twice(office: Office) -> None:
    with receiver() as local:
        office.tells(hook(local.url))
        office.put(*[str(number) for number in range(40)])
        children = [subprocess.Popen(office.argv, cwd="/opt/salespider") for _ in range(3)]
        assert [child.wait() for child in children] == [0, 0, 0]
    assert local.summaries == [str(number) for number in range(40)]


# --- services ---------------------------------------------------------------------------------------------------------


def service(url: str, name: str = "service") -> Receiver:
    return Receiver(id=name, kind="service", url=url, shown="a service")


def test_a_service_gets_title_text_and_weight(office: Office) -> None:
    with receiver() as local:
        office.tells(service(local.url.replace("http://", "json://") + "/topic"))
        office.put("the disk is full")
        office.outbox.put(Notice("outbox.flowing", "warning", "over", resolved=True), ["service"], datetime.now(UTC))
        assert office.send().tail == ()
    assert office.outbox.waiting() == ()
    failed, over = (request.json for request in local.requests)
    assert (failed["title"], failed["type"]) == ("critical: backups of salespider", "failure")
    assert failed["message"].startswith("the disk is full\nHINT: look\nbackup.failed, ")
    assert (over["title"], over["type"]) == ("resolved: backups of salespider", "success")


def test_a_service_that_refuses_is_named_without_a_secret(office: Office) -> None:
    """The library logs addresses, below the level of warnings; none of it comes out here."""
    with receiver(says(404)) as local:
        secret = "TIiajkdnlazkcOXrIdevi7FQ"
        office.tells(
            service(f"{local.url.replace('http://', 'json://somebody:pass-word@')}/{secret}", "refuses"),
            service(f"slack://T1JJ3T3L2/A1BRTD4JD/{secret}/#backups", "unreachable"),
            service(f"nonsense://{secret}", "unknown"),
            service(f"json://somebody:pass-word@127.0.0.1:9/{secret}", "closed"),
        )
        office.put("one")
        finished = office.send()
    errors = office.errors()
    assert (finished.exit_code, finished.tail) == (0, ())
    assert len(local.requests) == 1
    assert errors["refuses"] == "HTTP 404 Not Found"
    assert errors["unknown"] == "the notification library does not understand this address"
    assert "onnection error" in errors["unreachable"]
    assert "onnection error" in errors["closed"]
    for word in (secret, "pass-word", "T1JJ3T3L2", "somebody"):
        assert not [error for error in errors.values() if word in error]


def test_a_text_that_a_service_has_no_room_for_does_not_block_it(office: Office) -> None:
    with receiver() as local:
        office.tells(service(local.url.replace("http://", "json://")))
        office.put("x" * 200_000, "after it")
        office.send()
    assert len(local.requests[0].body) < 5000
    assert local.requests[1].json["message"].startswith("after it")


@pytest.mark.parametrize("address", GUIDE)
def test_the_library_understands_every_address_of_the_guide(address: str) -> None:
    assert apprise.Apprise.instantiate(address) is not None


# --- the thread -------------------------------------------------------------------------------------------------------


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def courier(office: Office, stop: threading.Event) -> Iterator[Courier]:
    made = Courier(lambda: office.deployment, stop)
    yield made
    stop.set()
    made.finish(30)


def test_the_courier_brings_what_is_put_and_the_heartbeats(office: Office, courier: Courier) -> None:
    with receiver() as local:
        office.tells(hook(local.url), heartbeat_url=f"{local.url}/ping/uuid")
        courier.start()
        heartbeat(office.deployment, "start")
        office.put("one")
        courier.poke()
        wait_until(lambda: len(local.requests) == 2)
        heartbeat(office.deployment, "fail")
        heartbeat(office.deployment, "start")
        heartbeat(office.deployment, "success")
        courier.poke()
        wait_until(lambda: len(local.requests) == 5)
    pings = [request.path for request in local.requests if request.method == "GET"]
    assert pings == ["/ping/uuid/start", "/ping/uuid/fail", "/ping/uuid/start", "/ping/uuid"]


def test_stopped_while_a_receiver_hangs_it_ends_soon_and_loses_nothing(
    office: Office, courier: Courier, stop: threading.Event
) -> None:
    with receiver("hangs") as local:
        receivers = [hook(local.url).model_copy(update={"signing_secret": SECRET, "bearer_token": TOKEN})]
        office.tells(*receivers)
        office.put("one", "two")
        courier.start()
        wait_until(lambda: bool(local.requests))
        for secret in (SECRET, TOKEN, "secret-part"):
            assert not seen_by_others(secret)
        began = time.monotonic()
        stop.set()
        courier.finish(30)
        assert time.monotonic() - began < 10
        assert not courier.is_alive()
        assert not seen_by_others("backup.notify")
    assert [(each.count, each.attempts) for each in office.outbox.waiting()] == [(2, 1)]
    office.lease_ends()
    with receiver() as again:
        office.tells(hook(again.url))
        office.send()
    assert again.summaries == ["one", "two"]
    assert again.requests[0].json["id"] == local.requests[0].json["id"]


def seen_by_others(word: str) -> list[str]:
    """The processes in whose command line or environment a word stands, as `ps` would show them."""
    found = []
    for file in [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]:
        try:
            text = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in text and "pytest" not in text:
            found.append(text)
    return found


def test_a_broken_file_of_receivers_ends_the_process_without_printing_it(office: Office) -> None:
    (office.deployment.volumes.config / paths.RECEIVERS_JSON).write_text(json.dumps({"receivers": [{"url": SECRET}]}))
    finished = office.send()
    assert finished.exit_code == 1
    assert len(finished.tail) == 1
    assert finished.tail[0].startswith("notify: ConfigurationError at deployment.py:")


# --- the test notice, and what it costs -------------------------------------------------------------------------------


def test_the_test_notice_shows_what_each_receiver_answers(office: Office) -> None:
    with receiver() as good, receiver(says(403)) as bad:
        office.tells(
            hook(good.url, "good"), hook(bad.url, "bad"), service(good.url.replace("http://", "json://")),
            heartbeat_url=f"{good.url}/ping",
        )  # fmt: skip
        sender = Sender("salespider", ZoneInfo("UTC"), lambda: datetime.now(UTC))
        results = ask_all(office.deployment.receivers, sender)
    assert [result.answer.said for result in results] == ["HTTP 200 OK", "HTTP 403 Forbidden", "taken", "HTTP 200 OK"]
    assert {request.path for request in good.requests} == {"/hook/secret-part", "/", "/ping/log"}
    assert {request.json["event"] for request in bad.requests} == {"notification.test"}


def test_the_supervisor_carries_no_library_that_sends() -> None:
    program = "import backup.cli, sys; print(sorted({'httpx', 'apprise', 'requests', 'docker'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="/opt/salespider")
    assert done.stdout.strip() == "[]"


def test_the_process_is_small_and_soon_over(office: Office) -> None:
    with receiver() as local:
        office.tells(hook(local.url), service(local.url.replace("http://", "json://")))
        office.put("one")
        argv = ["/usr/bin/env", "python3", "-c", MEASURED, *office.argv[3:]]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd="/opt/salespider")
    megabytes, cpu_seconds = (float(word) for word in done.stdout.split())
    print(f"the process that sends: {megabytes:.0f} MiB, {cpu_seconds:.2f} s of a processor")
    assert len(local.requests) == 2
    assert megabytes < 120


MEASURED = """
import resource, sys
from backup.notify.__main__ import main
main(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss would be the parent's
print(int(peak.split()[1]) / 1024, used.ru_utime + used.ru_stime)
"""
