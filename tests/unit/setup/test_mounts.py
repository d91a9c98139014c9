"""The kernel's list of mounts tells on which kind of file system a directory is, and so what to do about its owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.errors import ProductError
from setup import host_directory, mounts
from setup.places import Owner

MOUNTINFO = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:30 / /srv rw - xfs /dev/vdb rw
31 30 0:31 / /srv/nas rw shared:7 - nfs4 nas:/export rw,vers=4.2
32 30 0:32 / /srv/my\\040disk rw - cifs //nas/share rw
33 22 0:33 / /srv/nas/deeper rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/var", "ext4"),
        ("/srv/x", "xfs"),
        ("/srv/nas", "nfs4"),
        ("/srv/nas/backups", "nfs4"),
        ("/srv/nas/deeper/x", "tmpfs"),
        ("/srv/nasty", "xfs"),
        ("/srv/my disk/backups", "cifs"),
    ],
)
def test_the_deepest_mount_point_counts(directory: str, kind: str) -> None:
    assert mounts.type_in(MOUNTINFO, Path(directory)) == kind


def test_the_real_list_is_understood() -> None:
    assert mounts.file_system(Path("/")) != ""


def test_without_a_list_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_MOUNTINFO", Path("/absent"))
    assert mounts.file_system(Path("/")) == ""


@pytest.mark.parametrize(
    ("kind", "hint"),
    [
        (
            "nfs4",
            (
                "it is a network drive (nfs4), where root of this host has no rights (root squash): on the server, chown "
                "999:999 and chmod 750 the directory"
            ),
        ),
        ("cifs", "it is a network drive (cifs): mount it with uid=999,gid=999,file_mode=0640,dir_mode=0750"),
        ("ext4", "do it on the host: sudo chown 999:999 /srv/nas && sudo chmod 750 /srv/nas"),
    ],
)
def test_what_to_do_about_an_owner_depends_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, hint: str
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.chown", refuse)
    monkeypatch.setattr(mounts, "file_system", lambda _: kind)
    with pytest.raises(ProductError) as caught:
        host_directory.adopt(tmp_path, "/srv/nas", Owner(999, 999))
    assert caught.value.hint == hint
