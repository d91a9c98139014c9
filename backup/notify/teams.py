"""Microsoft Teams, by the address that its Workflows give out today. Pure.

The library builds such an address from parts of an older one, which Microsoft has switched off in November 2025
(https://github.com/caronc/apprise/issues/1405; Debian trixie has 1.9.3). So an address that is given whole is used as it is.
"""

from __future__ import annotations

import json
from typing import Final

_SCHEMES: Final = ("workflows://", "workflow://")
_WHOLE: Final = "/triggers/manual/paths/invoke"


def address(url: str) -> str | None:
    """Return where to post to, if this is a whole address of Workflows with `workflows://` in the place of `https://`."""
    scheme = next((each for each in _SCHEMES if url.lower().startswith(each)), None)
    return f"https://{url[len(scheme) :]}" if scheme and _WHOLE in url else None


def card(title: str, text: str, *, urgent: bool) -> bytes:
    """Return the message as an Adaptive Card, which is what the template "Send webhook alerts to a channel" expects."""
    head = {"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True}
    if urgent:
        head["color"] = "Attention"
    lines = [{"type": "TextBlock", "text": line, "wrap": True} for line in text.splitlines()]
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [head, *lines],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": content}
    return json.dumps({"type": "message", "attachments": [attachment]}).encode()
