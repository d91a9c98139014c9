"""The schemes of the addresses that the notification library (Apprise, https://github.com/caronc/apprise) knows.

Setup's image does not have the library, so the list stands here: those that work in the backup image, where a test compares
the two.
"""

from __future__ import annotations

from typing import Final

# fmt: off
SCHEMES: Final[tuple[str, ...]] = (
    "apprise", "apprises", "aprs", "atalk", "azure", "bark", "barks", "bluesky", "bsky", "bulksms", "bulkvs", "burstsms",
    "chanify", "clicksend", "d7sms", "dapnet", "dingtalk", "discord", "emby", "embys", "enigma2", "enigma2s", "fcm",
    "feishu", "flock", "form", "forms", "freemobile", "gchat", "gotify", "gotifys", "guilded", "hassio", "hassios",
    "httpsms", "ifttt", "join", "json", "jsons", "kavenegar", "kodi", "kodis", "kumulos", "lametric", "lametrics",
    "line", "lsea", "lseas", "lunasea", "lunaseas", "mailgun", "mailto", "mailtos", "mastodon", "mastodons", "matrix",
    "matrixs", "misskey", "misskeys", "mmost", "mmosts", "msg91", "msgbird", "msteams", "ncloud", "nclouds", "nctalk",
    "nctalks", "nexmo", "notica", "noticas", "notifiarr", "notifico", "ntfy", "ntfys", "o365", "onesignal", "opsgenie",
    "pagerduty", "pagertree", "parsep", "parseps", "pbul", "pjet", "pjets", "plivo", "popcorn", "pover", "prowl",
    "psafer", "psafers", "push", "pushdeer", "pushdeers", "pushed", "pushme", "pushy", "reddit", "resend", "revolt",
    "rocket", "rockets", "rsyslog", "ryver", "schan", "sendgrid", "ses", "seven", "sfr", "signal", "signals", "sinch",
    "slack", "smseagle", "smseagles", "smsmanager", "smsmgr", "smtp2go", "sns", "sparkpost", "splunk", "spush",
    "strmlabs", "synology", "synologys", "syslog", "tgram", "threema", "toot", "toots", "tweet", "twilio", "twist",
    "twitter", "victorops", "voipms", "vonage", "webex", "wecombot", "whatsapp", "workflow", "workflows", "wxpusher",
    "wxteams", "x", "xbmc", "xbmcs", "xml", "xmls", "zulip",
)
# fmt: on
