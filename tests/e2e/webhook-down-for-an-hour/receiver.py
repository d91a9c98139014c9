"""What stands at the other end of the webhook: keeps each request as a line of JSON, and takes everything."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        with Path("/tmp/requests").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"path": self.path, "headers": headers, "body": body}) + "\n")
        self.send_response(200)
        self.end_headers()

    do_GET = do_POST  # noqa: N815 the name that the library looks for


ThreadingHTTPServer(("", 8080), Handler).serve_forever()
