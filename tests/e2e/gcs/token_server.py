"""What Google's token endpoint does: takes an assertion that a service account has signed, and gives a token for it.

    token_server.py PUBLIC_KEY CLIENT_EMAIL AUDIENCE

Every assertion is a line on standard output: issued, or why not.
"""

from __future__ import annotations

import base64
import json
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

PUBLIC_KEY, CLIENT_EMAIL, AUDIENCE = sys.argv[1:]


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def is_signed(text: bytes, signature: bytes) -> bool:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(signature)
        argv = ("openssl", "dgst", "-sha256", "-verify", PUBLIC_KEY, "-signature", file.name)
        return subprocess.run(argv, input=text, capture_output=True, check=False).returncode == 0


def objection(form: dict[str, list[str]]) -> str:
    if form.get("grant_type") != ["urn:ietf:params:oauth:grant-type:jwt-bearer"]:
        return "another grant type"
    signed, _, signature = form["assertion"][0].rpartition(".")
    claims: dict[str, Any] = json.loads(decoded(signed.split(".")[1]))
    if not is_signed(signed.encode(), decoded(signature)):
        return "not signed by the service account"
    if (claims["iss"], claims["aud"]) != (CLIENT_EMAIL, AUDIENCE):
        return f"for somebody else: {claims['iss']} {claims['aud']}"
    return "" if claims["iat"] - 60 <= time.time() < claims["exp"] else "expired"


class Endpoint(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        said = objection(urllib.parse.parse_qs(body))
        print(said or "issued", flush=True)
        token = {"access_token": "a-token-of-the-scenario", "token_type": "Bearer", "expires_in": 3600}
        answer = json.dumps({"error": said} if said else token).encode()
        self.send_response(400 if said else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/token/server.pem", "/token/server.key")
server = HTTPServer(("0.0.0.0", 8443), Endpoint)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
