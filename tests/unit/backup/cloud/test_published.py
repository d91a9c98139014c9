"""Which repository is meant, and that none of its secrets is shown by accident."""

from __future__ import annotations

import pytest

from backup.cloud.published import chosen, repositories
from contract.errors import ProductError
from contract.exits import Exit

REPO_CONF = """# Written by SaleSpider's setup
[global]
# /srv/backups
repo1-type=posix
repo1-path=/var/lib/pgbackrest

# s3://one
repo2-type=s3
repo2-s3-bucket=one
repo2-s3-key-secret=a=b=c#d

repo3-type=s3
repo3-s3-bucket=three
"""


def test_options_are_what_stands_behind_the_first_equals_sign() -> None:
    assert [repository.key for repository in repositories(REPO_CONF)] == [1, 2, 3]
    assert repositories(REPO_CONF)[1].get("s3-key-secret") == "a=b=c#d"
    assert repositories(REPO_CONF)[1].get("s3-token") == ""


@pytest.mark.parametrize(("wanted", "bucket"), [("", "one"), ("2", "one"), ("3", "three")])
def test_the_first_of_the_kind_or_the_one_that_is_wanted(wanted: str, bucket: str) -> None:
    assert chosen(REPO_CONF, "s3", wanted).get("s3-bucket") == bucket


@pytest.mark.parametrize("wanted", ["1", "4", "two"])
def test_one_of_another_kind_is_refused_and_the_others_are_named(wanted: str) -> None:
    with pytest.raises(ProductError) as caught:
        chosen(REPO_CONF, "s3", wanted)
    assert caught.value.exit_code == Exit.USAGE
    assert caught.value.hint == "these are: 2, 3"


@pytest.mark.parametrize("text", ["", REPO_CONF])
def test_without_a_repository_of_the_kind_it_says_how_to_get_one(text: str) -> None:
    with pytest.raises(ProductError) as caught:
        chosen(text, "azure", "")
    assert caught.value.exit_code == Exit.CONFIGURATION
    assert "PGBACKREST_REPO1_TYPE=azure" in caught.value.hint


def test_no_representation_shows_a_secret() -> None:
    assert "a=b=c" not in repr(repositories(REPO_CONF))
