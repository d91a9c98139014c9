"""The command that the guide prints to test the connection to S3, in an image that was built with Amazon's program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.conftest import Stacks
from tests.e2e.stack import HELPER_IMAGE, Result, Stack


@dataclass(frozen=True)
class Cloud:
    """The shop, and the two stores that its backups go to."""

    shop: Stack
    first: Any
    second: Any

    def aws(self, *arguments: str, repo: str = "", check: bool = True) -> Result:
        """Run `docker exec salespider-backup aws …`."""
        chosen = ("--env", f"BACKUP_REPO={repo}") if repo else ()
        return self.shop.run("docker", "exec", *chosen, self.shop.container("backup"), "aws", *arguments, check=check)


@pytest.fixture(scope="module")
def cloud(stacks: Stacks) -> Cloud:
    shop = stacks.new()
    first, second = stacks.store("s3", shop), stacks.store("s3", shop, name="second")
    second.make_bucket("only-in-the-second")
    shop.configure(
        BACKUP_CLOUD_CLI="aws", SETUP_BACKUP="true", BACKUP_CPU_LIMIT="2", **first.variables(), **second.variables(2)
    )
    deployed = shop.make("deploy")
    assert deployed.code == 0, deployed.output
    return Cloud(shop, first, second)


def test_the_guides_command_lists_the_bucket(cloud: Cloud) -> None:
    listed = cloud.aws("s3", "ls", f"s3://{cloud.first.bucket}")
    assert listed.stdout.split() == ["PRE", "pgbackrest/"]


def test_it_reads_with_the_identity_of_the_backups(cloud: Cloud) -> None:
    name = f"s3://{cloud.first.bucket}/pgbackrest/archive/salespider/archive.info"
    assert cloud.aws("s3", "cp", name, "-").stdout.startswith("Salted__")


def test_another_repository_can_be_chosen(cloud: Cloud) -> None:
    assert "only-in-the-second" not in cloud.aws("s3", "ls").stdout
    assert "only-in-the-second" in cloud.aws("s3", "ls", repo="2").stdout
    refused = cloud.aws("s3", "ls", repo="3", check=False)
    assert refused.code == 2
    assert "HINT: these are: 1, 2" in refused.stderr


def test_no_key_is_in_the_environment_of_the_container(cloud: Cloud) -> None:
    variables = cloud.shop.exec("backup", "env").stdout + str(cloud.shop.inspect("backup")["Config"])
    for store in (cloud.first, cloud.second):
        assert store.key not in variables
        assert store.secret not in variables


def test_a_program_that_is_not_there_says_how_to_get_it(cloud: Cloud) -> None:
    said = cloud.shop.exec("backup", "az", "storage", "container", "list", check=False)
    assert said.code == 10
    assert "BACKUP_CLOUD_CLI=az" in said.stderr


def test_the_default_image_is_built_without(cloud: Cloud) -> None:
    script = "ls /usr/bin/aws"
    looked = cloud.shop.run("docker", "run", "--rm", "--entrypoint", "sh", HELPER_IMAGE, "-c", script, check=False)
    assert looked.code != 0


def test_it_is_refused_when_the_backups_are(cloud: Cloud) -> None:
    cloud.first.forbid()
    refused = cloud.aws("s3", "ls", f"s3://{cloud.first.bucket}", check=False)
    assert refused.code != 0
    assert "InvalidAccessKeyId" in refused.stderr
