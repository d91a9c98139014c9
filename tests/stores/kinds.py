"""The three kinds: SeaweedFS for S3, Azurite for Azure Blob Storage, fake-gcs-server for Google Cloud Storage."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import botocore.session
from botocore.config import Config

from tests.e2e.stack import Stack
from tests.stores import programs
from tests.stores.store import ObjectStore, patiently

ALL_ACTIONS: Final = ("Admin", "Read", "List", "Tagging", "Write")


class Seaweed(ObjectStore):
    """An object store of its own right, with the S3 protocol. Checks keys; knows versioning and object lock."""

    kind, port = "s3", 8334

    def __init__(self, stack: Stack, name: str, *, gate: bool = False) -> None:
        """Invent the keys."""
        super().__init__(stack, name, gate=gate)
        self.key, self.secret = f"AK{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        self._policies: dict[str, str] = {}
        self._identities: dict[str, tuple[str, str, tuple[str, ...]]] = {"salespider": (self.key, self.secret, ALL_ACTIONS)}

    def programs(self) -> Mapping[Path, str]:
        """Return the one program."""
        return {programs.weed(): "/usr/local/bin/weed"}

    def command(self) -> str:
        """Return a command that starts master, volume server, filer and S3 gateway in one process."""
        self._write_identities()
        return (
            "exec weed -logtostderr server -dir=/data -ip=127.0.0.1 -ip.bind=0.0.0.0 -volume.max=200 "
            "-volume.preStopSeconds=0 -master.volumeSizeLimitMB=256 -master.electionTimeout=1s "
            f"-s3 -s3.port=8333 -s3.port.https={self.port} "
            "-s3.cert.file=/store/server.pem -s3.key.file=/store/server.key "
            "-s3.config=/store/identities.json"
        )

    def prepare(self) -> None:
        """Make the bucket."""
        self.make_bucket(self.bucket)

    def make_bucket(self, name: str) -> None:
        """Make a bucket of that name."""
        patiently(lambda: self.client().create_bucket(Bucket=name))

    def short_variables(self) -> dict[str, str]:
        """Return the guide's variables."""
        return {
            "AWS_S3_BUCKET": self.bucket,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_S3_ENDPOINT": f"{self.host}:{self.port}",
        }

    def numbered_variables(self) -> dict[str, str]:
        """Return the same for any repository."""
        return {
            "S3_BUCKET": self.bucket,
            "S3_REGION": "us-east-1",
            "S3_KEY": self.key,
            "S3_KEY_SECRET": self.secret,
            "S3_ENDPOINT": f"{self.host}:{self.port}",
        }

    def client(self, key: str = "", secret: str = "") -> Any:
        """Return a botocore client, from the test's host and past the gate; without keys with the store's own ones."""
        return botocore.session.get_session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=f"https://{self.address}",
            aws_access_key_id=key or self.key,
            aws_secret_access_key=secret or self.secret,
            verify=False,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, connect_timeout=5, read_timeout=20),
        )

    def allow(self, name: str, key: str, secret: str, actions: tuple[str, ...] = ALL_ACTIONS) -> None:
        """Let somebody in from now on. Actions are SeaweedFS's: Read, Write, List, … or for one bucket: Read:bucket."""
        self._identities[name] = (key, secret, actions)
        self._write_identities()
        self.signal("HUP")

    def allow_by_policy(self, name: str, key: str, secret: str, policy: str) -> None:
        """Let somebody in from now on, with what a policy in IAM's language allows, and nothing else."""
        self._policies[name] = policy
        self.allow(name, key, secret, ())

    def forbid(self, name: str = "salespider") -> None:
        """Let somebody in no longer. Takes a restart: told to read its file again, the server only adds what is new."""
        del self._identities[name]
        self._write_identities()
        self.stop()
        self.start()

    def _write_identities(self) -> None:
        identities = [
            {
                "name": name,
                "credentials": [{"accessKey": key, "secretKey": secret}],
                "actions": list(actions),
                "policyNames": [name] if name in self._policies else [],
            }
            for name, (key, secret, actions) in self._identities.items()
        ]
        policies = [{"name": name, "content": content} for name, content in self._policies.items()]
        file = self._directory / "identities.json"
        file.write_text(json.dumps({"identities": identities, "policies": policies}))
        file.chmod(0o644)


class Azurite(ObjectStore):
    """Microsoft's own emulator of Blob Storage. Checks keys and shared access signatures."""

    kind, port = "azure", 5444
    account = "salespider"

    def __init__(self, stack: Stack, name: str, *, gate: bool = False) -> None:
        """Invent the account's key."""
        super().__init__(stack, name, gate=gate)
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()

    def programs(self) -> Mapping[Path, str]:
        """Return Node.js and what Azurite is made of."""
        return {programs.node(): "/opt/node", programs.azurite(): "/opt/azurite"}

    def command(self) -> str:
        """Return the command of the blob service alone."""
        return (
            f"AZURITE_ACCOUNTS='{self.account}:{self.key}' exec /opt/node/bin/node "
            "/opt/azurite/node_modules/azurite/dist/src/blob/main.js --blobHost 0.0.0.0 "
            f"--blobPort {self.port} --location /data --cert /store/server.pem --key /store/server.key "
            "--skipApiVersionCheck --disableProductStyleUrl --silent --disableTelemetry"
        )

    def prepare(self) -> None:
        """Make the container."""
        self.make_container(self.bucket)

    def make_container(self, name: str) -> None:
        """Make a blob container of that name, with a signature of the account's key."""
        patiently(lambda: self.request("PUT", f"{name}?restype=container"))

    def request(self, method: str, path: str) -> str:
        """Send a signed request without a body to the account, from the server's own container; return what it answers."""
        return self.python(_SIGNED_REQUEST, method, path, self.account, self.key, str(self.port))

    def short_variables(self) -> dict[str, str]:
        """Return the guide's variables."""
        return {
            "AZURE_STORAGE_ACCOUNT": self.account,
            "AZURE_STORAGE_KEY": self.key,
            "AZURE_STORAGE_CONTAINER": self.bucket,
            "PGBACKREST_REPO1_AZURE_ENDPOINT": f"{self.host}:{self.port}",
        }

    def numbered_variables(self) -> dict[str, str]:
        """Return the same for any repository."""
        return {
            "AZURE_ACCOUNT": self.account,
            "AZURE_KEY": self.key,
            "AZURE_CONTAINER": self.bucket,
            "AZURE_ENDPOINT": f"{self.host}:{self.port}",
        }


class FakeGcs(ObjectStore):
    """An emulator of Google Cloud Storage. Takes any token."""

    kind, port = "gcs", 5445

    def programs(self) -> Mapping[Path, str]:
        """Return the one program."""
        return {programs.fake_gcs_server(): "/usr/local/bin/fake-gcs-server"}

    def command(self) -> str:
        """Return its command; it keeps files, so that it may be stopped."""
        return (
            f"exec fake-gcs-server -scheme https -port {self.port} -cert-location /store/server.pem "
            f"-private-key-location /store/server.key -public-host {self.host}:{self.port} "
            "-backend filesystem -filesystem-root /data"
        )

    def prepare(self) -> None:
        """Make the bucket."""
        self.make_bucket(self.bucket)

    def make_bucket(self, name: str) -> None:
        """Make a bucket of that name."""
        patiently(lambda: self.python(_MAKE_BUCKET, name, str(self.port)))

    def short_variables(self) -> dict[str, str]:
        """Return the guide's variables, with a token instead of a key: the emulator has no service accounts."""
        return {"GCS_BUCKET": self.bucket, **{f"PGBACKREST_REPO1_{name}": value for name, value in self._own().items()}}

    def numbered_variables(self) -> dict[str, str]:
        """Return the same for any repository."""
        return {"GCS_BUCKET": self.bucket, **self._own()}

    def _own(self) -> dict[str, str]:
        return {
            "GCS_ENDPOINT": f"{self.host}:{self.port}",
            "GCS_KEY_TYPE": "token",
            "GCS_KEY": "any-token-will-do",
            # It knows no resumable uploads: a file must fit into one part.
            "STORAGE_UPLOAD_CHUNK_SIZE": "16MiB",
        }


KINDS: Final[Mapping[str, type[ObjectStore]]] = {"s3": Seaweed, "azure": Azurite, "gcs": FakeGcs}

_SIGNED_REQUEST: Final = """
import base64, email.utils, hashlib, hmac, ssl, sys, urllib.error, urllib.parse, urllib.request
method, path, account, key, port = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
version = "2021-12-02"
place, _, query = path.partition("?")
options = sorted(urllib.parse.parse_qsl(query))
resource = f"/{account}/{account}/{place}" + "".join(f"\\n{name}:{value}" for name, value in options)
text = f"{method}" + "\\n" * 12 + f"x-ms-date:{date}\\nx-ms-version:{version}\\n{resource}"
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
headers = {"x-ms-date": date, "x-ms-version": version, "authorization": f"SharedKey {account}:{signature}"}
request = urllib.request.Request(f"https://127.0.0.1:{port}/{account}/{path}", method=method, headers=headers)
try:
    print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).read().decode())
except urllib.error.HTTPError as error:
    if error.code != 409:  # it is there already
        sys.exit(f"{error.code} {error.read().decode()}")
"""

_MAKE_BUCKET: Final = """
import json, ssl, sys, urllib.error, urllib.request
name, port = sys.argv[1:]
address, body = f"https://127.0.0.1:{port}/storage/v1/b?project=test", json.dumps({"name": name}).encode()
request = urllib.request.Request(address, data=body, headers={"content-type": "application/json"})
try:
    print(urllib.request.urlopen(request, context=ssl._create_unverified_context()).read().decode())
except urllib.error.HTTPError as error:
    if error.code != 409:  # it is there already
        sys.exit(f"{error.code} {error.read().decode()}")
"""
