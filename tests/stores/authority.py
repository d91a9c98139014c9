"""The certificates of the stores: an authority made at run time, which nobody else knows."""

from __future__ import annotations

from pathlib import Path

import trustme


class Authority:
    """One certificate authority; `pem` is its certificate, as the operator would get it."""

    def __init__(self) -> None:
        """Make it."""
        self._authority = trustme.CA(organization_name="SaleSpider's scenarios")
        self.pem = self._authority.cert_pem.bytes().decode()

    def certify(self, directory: Path, host: str) -> None:
        """Put server.pem and server.key for a host name into a directory, with ca.pem beside them, for everybody to read."""
        issued = self._authority.issue_cert(host)
        issued.private_key_pem.write_to_path(directory / "server.key")
        (directory / "server.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        (directory / "ca.pem").write_text(self.pem)
        for file in directory.iterdir():
            file.chmod(0o644)
