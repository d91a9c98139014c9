"""Two supervisors on the same volumes: one works, the other waits and says so, and takes over when the first one goes."""

from __future__ import annotations

from tests.e2e.conftest import Stacks
from tests.e2e.stack import wait_until


def test_the_second_one_waits_and_takes_over(stacks: Stacks) -> None:
    stack = stacks.running()
    second = stack.container("second")
    stacks.at_end(lambda: stack.run("docker", "rm", "--force", second, check=False))
    stack.compose("run", "--detach", "--no-deps", "--name", second, "backup")

    def heard() -> str:
        return stack.run("docker", "logs", second).output

    wait_until(lambda: "supervisor.waiting" in heard(), 60, "a second supervisor that waits")
    assert "supervisor.started" not in heard()
    stack.docker("stop", "backup")
    wait_until(lambda: "supervisor.started" in heard(), 60, "the second supervisor at work")
    result = stack.run("docker", "exec", second, "salespider-backup", "backup", "--type=incr")
    assert result.code == 0, result.output
    stack.run("docker", "stop", second)
    assert stack.run("docker", "inspect", "--format", "{{.State.ExitCode}}", second).stdout.strip() == "143"
