"""A real object store in a container of its own, on a stack's network: what it takes to reach it, and every way to break it.

store = stacks.store("s3", stack)
stack.configure(SETUP_BACKUP="true", **store.variables())
stack.start()
store.cut()
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from tests.e2e.stack import HELPER_IMAGE, IMAGE_TAG, ROOT, Stack, wait_until
from tests.stores.authority import Authority

GATE: Final = Path(__file__).with_name("gate.py")
FAULTS_IMAGE: Final = f"salespider-test-faults:{IMAGE_TAG}"
START_SECONDS: Final = 60.0


class ObjectStore:
    """What all kinds have in common. `name` becomes a part of its host name; a stack may have several."""

    kind: ClassVar[str]
    port: ClassVar[int]
    bucket: str = "salespider-backups"

    def __init__(self, stack: Stack, name: str, *, gate: bool = False) -> None:
        """Choose names and make the certificate; nothing runs yet. With `gate` it is reached through one."""
        self._stack = stack
        self.container = f"{stack.project}-{name}"
        self.host = f"{name}.store.test"
        self.other_host = f"{name}.elsewhere.test"
        """It is reached by that name, too, but its certificate is not for it."""
        self.authority = Authority()
        self._gate = f"{self.container}-gate" if gate else None
        self._directory = stack.directory / f"store-{name}"
        self._directory.mkdir(mode=0o755)
        self._told: dict[str, Any] = {}
        self._network = f"{stack.project}-net"
        self.ca_file = ROOT / "secrets" / f"test-{uuid.uuid4().hex[:8]}-{name}-ca.pem"

    # --- what each kind says --------------------------------------------------------------------------------------

    def command(self) -> str:
        """Return the shell command that is the server; the certificate is in /store, what it keeps in /data."""
        raise NotImplementedError

    def programs(self) -> Mapping[Path, str]:
        """Return what of the host is mounted where."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Make the bucket."""
        raise NotImplementedError

    def short_variables(self) -> dict[str, str]:
        """Return the variables of the guide, for the first repository of its kind."""
        raise NotImplementedError

    def numbered_variables(self) -> dict[str, str]:
        """Return the variables of any repository, without the PGBACKREST_REPOn_ in front."""
        raise NotImplementedError

    # --- reaching it ------------------------------------------------------------------------------------------------

    def variables(self, repo: int = 1) -> dict[str, str]:
        """Return what stands in .env: with the guide's names for repository 1, with numbered ones for any other."""
        own = {"TYPE": self.kind, "STORAGE_CA_FILE": f"/run/secrets/{self.ca_file.name}"}
        if repo != 1:
            own |= self.numbered_variables()
        return {**(self.short_variables() if repo == 1 else {}), **{f"PGBACKREST_REPO{repo}_{k}": v for k, v in own.items()}}

    @property
    def url(self) -> str:
        """Return its address in the stack's network."""
        return f"https://{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Return the address at which the test's host reaches the server itself, past the gate, as host:port."""
        networks = json.loads(self._docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", self.container))
        return f"{networks[self._network]['IPAddress']}:{self.port}"

    def sh(self, script: str, stdin: str = "") -> str:
        """Run a shell script as root in the server's container; return what it prints."""
        argv = ("docker", "exec", "--interactive", "--user", "0:0", self.container, "sh", "-ceu", script)
        return self._stack.run(*argv, stdin=stdin).stdout

    def python(self, program: str, *argv: str) -> str:
        """Run a Python program in the server's container; return what it prints."""
        return self._stack.run(
            "docker", "exec", "--interactive", self.container, "python3", "-", *argv, stdin=program
        ).stdout

    def signal(self, name: str) -> None:
        """Send the server a signal: HUP, KILL, …"""
        self.sh(f"kill -{name} $(cat /tmp/pid)")

    # --- life -------------------------------------------------------------------------------------------------------

    def launch(self) -> None:
        """Start the server (and its gate) and make the bucket."""
        self._make_network()
        self.authority.certify(self._directory, self.host)
        self.ca_file.write_text(self.authority.pem)
        self.ca_file.chmod(0o644)
        mounts = [part for source, place in self.programs().items() for part in ("--volume", f"{source}:{place}:ro")]
        alias = f"behind-{self.host}" if self._gate else self.host
        self._run(self.container, alias, mounts, ("sleep", "infinity"))
        self.start()
        self.prepare()
        if self._gate:
            serve = ("python3", "/gate.py", "serve", str(self.port), alias)
            self._run(self._gate, self.host, ["--volume", f"{GATE}:/gate.py:ro"], serve)
            self.heal()

    def remove(self) -> None:
        """Take it away, with all it keeps."""
        for container in filter(None, (self._gate, self.container)):
            self._docker("rm", "--force", "--volumes", container, check=False)
        self._docker("image", "rm", FAULTS_IMAGE, check=False)  # if another scenario needs it now, that one removes it
        self.ca_file.unlink(missing_ok=True)

    def answers(self) -> bool:
        """Tell whether the server takes connections."""
        script = f"exec 3<>/dev/tcp/127.0.0.1/{self.port}"
        return self._stack.run("docker", "exec", self.container, "bash", "-c", script, check=False).code == 0

    def _run(self, container: str, alias: str, mounts: Iterable[str], argv: Iterable[str]) -> None:
        self._docker(
            *("run", "--detach", "--name", container, "--network", self._network, "--network-alias", alias),
            *(("--network-alias", self.other_host) if alias == self.host else ()),
            *("--label", f"com.docker.compose.project={self._stack.project}", "--user", "0:0", "--workdir", "/"),
            *("--volume", f"{self._directory}:/store:ro", *mounts),
            *("--entrypoint", "/usr/bin/tini", HELPER_IMAGE, "--", *argv),
        )

    def _make_network(self) -> None:
        """Make the stack's network as Compose would: the store is there before anything of the product is."""
        if not self._docker("network", "ls", "--quiet", "--filter", f"name=^{self._network}$"):
            labels = {"project": self._stack.project, "network": "salespider-net"}
            options = [f"--label=com.docker.compose.{name}={value}" for name, value in labels.items()]
            self._docker("network", "create", *options, self._network)

    # --- breaking it ------------------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Take it off the network: packets to it are lost, and after a while its name."""
        self._docker("network", "disconnect", self._network, self._front)

    def mend(self) -> None:
        """Put it on the network again."""
        aliases = ("--alias", self.host, "--alias", self.other_host)
        self._docker("network", "connect", *aliases, self._network, self._front)

    def stop(self) -> None:
        """End the server at once; connections are refused, and what it keeps stays."""
        self.signal("KILL")
        wait_until(lambda: not self.answers(), START_SECONDS, f"{self.host} has ended")

    def start(self) -> None:
        """Start the server, and wait until it answers. The container goes on without it: it has the name."""
        script = f"mkdir -p /data; echo $$ > /tmp/pid; {self.command()}"
        self._docker("exec", "--detach", "--user", "0:0", self.container, "sh", "-c", script)
        wait_until(self.answers, START_SECONDS, f"{self.host} answers")

    def pause(self) -> None:
        """Freeze it: connections are taken, and nothing is answered."""
        self._docker("pause", self._front)

    def unpause(self) -> None:
        """Let it go on."""
        self._docker("unpause", self._front)

    def lose(self, share: float) -> None:
        """Drop so much of all packets, each way; 0 ends it."""
        self._stack.run("docker", "build", "--quiet", "--tag", FAULTS_IMAGE, str(Path(__file__).parent))
        drop = ("-p", "tcp", "-m", "statistic", "--mode", "random", "--probability", str(share), "-j", "DROP")
        for chain in ("INPUT", "OUTPUT"):
            self._in_its_network("--flush", chain)
            if share:
                self._in_its_network("--append", chain, *drop)

    def slow(self, milliseconds: float) -> None:
        """Add so much to every round trip (needs the gate)."""
        self._told["delay_ms"] = milliseconds
        self._tell()

    def fail(self, status: int, share: float = 1.0, code: str = "SlowDown", method: str = ".*", path: str = "") -> None:
        """Answer so much of the requests that fit with a status of the HTTP protocol (needs the gate). Adds to others."""
        rule = {"status": status, "share": share, "code": code, "method": method, "path": path}
        self._told.setdefault("rules", []).append(rule)
        self._tell()

    def skew(self, minutes: float) -> None:
        """Let its clock be wrong: the date of its answers, and above 15 minutes its refusals (needs the gate)."""
        rule: dict[str, Any] = {"date_shift": minutes * 60}
        if abs(minutes) > 15:
            rule |= {"status": 403, "code": "RequestTimeTooSkewed"}
        self._told["rules"] = [rule]
        self._tell()

    def record(self) -> None:
        """Keep every request from now on (needs the gate)."""
        self._told["record"] = True
        self._tell()

    def requests(self) -> list[dict[str, Any]]:
        """Return the recorded requests, the oldest first: method, path, status, bytes up and down."""
        kept = self._stack.run("docker", "exec", str(self._gate), "cat", "/tmp/requests", check=False).stdout
        return [json.loads(line) for line in kept.splitlines()]

    def heal(self) -> None:
        """End all that the gate does."""
        self._told = {}
        wait_until(self._is_told, START_SECONDS, "the gate listens")

    @property
    def _front(self) -> str:
        return self._gate or self.container

    def _tell(self) -> None:
        if not self._is_told():
            raise AssertionError(f"{self.host} has no gate that could be told")

    def _is_told(self) -> bool:
        argv = ("docker", "exec", str(self._gate), "python3", "/gate.py", "tell", json.dumps(self._told))
        return self._stack.run(*argv, check=False).code == 0

    def _in_its_network(self, *rule: str) -> None:
        network = f"container:{self._front}"
        self._docker("run", "--rm", "--cap-add", "NET_ADMIN", "--network", network, FAULTS_IMAGE, *rule)

    def _docker(self, *argv: str, check: bool = True) -> str:
        return self._stack.run("docker", *argv, check=check).stdout.strip()


def patiently(act: Callable[[], object], seconds: float = START_SECONDS) -> None:
    """Do it again until it succeeds: a server that takes connections may still be starting. Raises what it raised last."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return
