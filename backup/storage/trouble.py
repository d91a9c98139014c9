"""What went wrong with a store, in one sentence, and what to change: from the text that pgbackrest prints. Pure.

pgbackrest prints the store's whole answer, status, headers and body; the body's code says what is the matter, and the
same code means the same with every service that speaks the protocol. A HEAD request has no body: then only the status is
left. The frames are those that pgBackRest 2.55.1 prints; the bodies in them are SeaweedFS's where it has such an answer,
and else what the services document. Knows no library, because the postgres image has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from backup.storage import answers
from backup.storage.place import ENDPOINTS, SECRETS, Place

_STATUS: Final = re.compile(r"HTTP request failed with (\d{3})|\[(5\d\d|429)\] ")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>|x-ms-error-code: (\w+)")
_DETAIL: Final = re.compile(r"<AuthenticationErrorDetail>(.*?)</AuthenticationErrorDetail>", re.DOTALL)
_METHOD: Final = re.compile(r"\b(GET|HEAD|PUT|POST|DELETE) /")
_ADDRESS: Final = re.compile(r"(?:unable to connect to|presented by|read from|write to) '([^' ]+)")
_TLS_REASON: Final = re.compile(r"unable to verify certificate presented by '[^']*': \[(\d+)\] (.+)")
_OTHER_NAME: Final = re.compile(r"unable to find hostname '([^']+)' in certificate")
_NO_ADDRESS: Final = re.compile(r"unable to get address for '([^']+)'")
_BUSY_STATUS: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
_GONE: Final = 404
_REFUSED: Final = (401, 403)
_MOVED: Final = (301, 307)
_EXPIRED_CERTIFICATE: Final = "10"
_NOT_YET_VALID: Final = "9"
_SERVICE: Final = 101
_OF_THE_DATABASE: Final = (27, 56)

_VERBS: Final = {"GET": "read", "HEAD": "read", "PUT": "write", "POST": "write or delete", "DELETE": "delete"}


@dataclass(frozen=True)
class Trouble:
    """One sentence about what is wrong, one about what to do, and whether it may pass without anybody doing anything."""

    sentence: str
    hint: str
    may_pass: bool = False


def explain(text: str, exit_code: int, place: Place | None = None) -> Trouble | None:
    """Return what a failure of pgbackrest says about a store, or None when it is about something else.

    `text` is what pgbackrest printed, whole or its last lines, or the message in the answer of `info`; `exit_code` is
    its exit code, 0 where there is none. The sentence names the `place`, if one is given.
    """
    found = describe(text, exit_code, place)
    return None if found is None else Trouble((place or Place()).told(found.sentence), found.hint, found.may_pass)


def describe(text: str, exit_code: int, place: Place | None = None) -> Trouble | None:
    """Return the same as `explain`, with a sentence that does not name the place: for where that has been said."""
    if exit_code in _OF_THE_DATABASE or "dbname=" in text:
        return None
    where = (place or Place()).of_type(_service(text))
    return _connection(text, where) or _answer(text, where) or _by_code(exit_code, text, where)


def _service(text: str) -> str:
    if "x-ms-version" in text:
        return "azure"
    if "x-amz-" in text or "list-type=2" in text:
        return "s3"
    return "gcs" if "/storage/v1/" in text or "oauth2" in text else ""


# --- before the store could answer ------------------------------------------------------------------------------------


def _connection(text: str, place: Place) -> Trouble | None:
    if (match := _OTHER_NAME.search(text)) is not None:
        return certificate_for_another_name(match[1], place)
    if (match := _TLS_REASON.search(text)) is not None:
        return certificate_refused(match[1], match[2].strip(), place)
    if "unable to set user-defined CA certificate location" in text:
        return authorities_unreadable(place)
    if "wrong version number" in text or "packet length too long" in text:
        return no_tls(place)
    if (match := _NO_ADDRESS.search(text)) is not None:
        return no_address(match[1], place)
    return _no_answer(text, place)


def _no_answer(text: str, place: Place) -> Trouble | None:
    match = _ADDRESS.search(text)
    address = match[1] if match else "the store"
    if "Connection refused" in text:
        return refused(address, place)
    if "No route to host" in text or "Network is unreachable" in text:
        return unreachable(address, place)
    if match and ("timeout" in text or "timed out" in text):
        return silent(address, place)
    return None


def certificate_for_another_name(name: str, place: Place, names: str = "") -> Trouble:
    """Return the trouble that the store's certificate is not for the `name` it is called by, but for `names`."""
    others = f", but for {names}" if names else ""
    hint = f"write the name in the certificate into {_endpoint(place)} in .env, or give the store a certificate for {name}"
    return Trouble(f"the store's certificate is not for {name}{others}", hint)


def certificate_refused(number: str, reason: str, place: Place) -> Trouble:
    """Return the trouble that the certificate cannot be verified; `number` and `reason` are OpenSSL's."""
    if number == _EXPIRED_CERTIFICATE:
        return Trouble("the store's certificate has expired", "renew it on the store; until then nothing can be saved there")
    if number == _NOT_YET_VALID:
        return Trouble("the store's certificate is not valid yet", "check this host's clock: `timedatectl`")
    hint = (
        f"name the file with its authority's certificate in {place.variable('storage_ca_file')} in .env, then `make deploy`"
    )
    return Trouble(f"the store's certificate is signed by an authority that is not known here ({reason})", hint)


def authorities_unreadable(place: Place) -> Trouble:
    """Return the trouble that the file with the certificates to trust cannot be read."""
    hint = f"correct {place.variable('storage_ca_file')} in .env, then `make deploy`"
    return Trouble("the file with the store's certificate authority cannot be read", hint)


def no_http(address: str, place: Place) -> Trouble:
    """Return the trouble that something speaks TLS there, but does not answer a request."""
    hint = f"check whether the store is there, and the port in {_endpoint(place)}"
    return Trouble(f"what listens at {address} does not answer as a store does", hint, may_pass=True)


def no_tls(place: Place) -> Trouble:
    """Return the trouble that whatever listens there speaks no TLS."""
    hint = f"correct the port in {_endpoint(place)}: pgbackrest speaks to stores over TLS only"
    return Trouble("what answers there speaks no TLS", hint)


def no_address(name: str, place: Place) -> Trouble:
    """Return the trouble that a name has no address."""
    hint = f"check {_endpoint(place)} in .env, and whether this host can resolve names"
    return Trouble(f"the name {name} has no address", hint, may_pass=True)


def refused(address: str, place: Place) -> Trouble:
    """Return the trouble that nothing listens at an address."""
    hint = f"check whether the store is running, and the port in {_endpoint(place)}"
    return Trouble(f"{address} refuses the connection", hint, may_pass=True)


def unreachable(address: str, place: Place) -> Trouble:
    """Return the trouble that there is no way to an address."""
    hint = f"check the network between this host and the store, and {_endpoint(place)} in .env"
    return Trouble(f"there is no way to {address}", hint, may_pass=True)


def silent(address: str, place: Place) -> Trouble:
    """Return the trouble that nothing comes back from an address."""
    hint = f"check the network and firewalls between this host and the store, and {_endpoint(place)} in .env"
    return Trouble(f"{address} does not answer in time", hint, may_pass=True)


def clock_off(seconds: float) -> Trouble:
    """Return the trouble that this host's clock is `seconds` before the store's (behind it, if negative)."""
    minutes, side = round(abs(seconds) / 60), "ahead of" if seconds > 0 else "behind"
    sentence = f"this host's clock is {minutes} minutes {side} the store's, which refuses such requests"
    return Trouble(sentence, answers.CLOCK_HINT)


def _endpoint(place: Place) -> str:
    return place.variable(ENDPOINTS[place.type]) if place.type in ENDPOINTS else "the repository's endpoint"


# --- what the store answered ------------------------------------------------------------------------------------------


def _answer(text: str, place: Place) -> Trouble | None:
    if (known := answers.by_words(text)) is not None:
        return _worded(known, text, place)
    code = _CODE.search(text)
    name = (code[1] or code[2]) if code else ""
    detail = _DETAIL.search(text)
    if (known := answers.by_code(name, detail[1] if detail else "", place.type)) is not None:
        return _worded(known, text, place, f" ({name})")
    match = _STATUS.search(text)
    return _by_status(int(match[1] or match[2]), name, text, place) if match else None


def _worded(known: answers.Answer, text: str, place: Place, code: str = "") -> Trouble:
    sentence = known.sentence.replace("{verb}", _verb(text))
    variables = " and ".join(place.variable(field) for field in known.fields)
    hint = known.hint.replace("{variables}", variables)
    if (expected := answers.expected_region(text)) is not None:
        sentence += f", it is in {expected}"
    return Trouble(f"{sentence}{code}", hint, known.may_pass)


def _verb(text: str) -> str:
    match = _METHOD.search(text)
    return _VERBS[match[1]] if match else "use"


def _by_status(status: int, name: str, text: str, place: Place) -> Trouble | None:
    said = f" ({name})" if name else ""
    if status in _BUSY_STATUS:
        return _worded(answers.BUSY, text, place, f" (HTTP {status})")
    if status in _REFUSED:
        named = " and ".join(place.variable(field) for field in SECRETS.get(place.type, ())) or "the repository's keys"
        hint = f"check {named} in .env, and what the key is allowed to do there"
        return Trouble(f"the store refuses the key, or does not allow it to {_verb(text)} (HTTP {status}){said}", hint)
    if status in _MOVED:
        return _worded(answers.ELSEWHERE, text, place, said)
    if status == _GONE and place.type in answers.MISSING:
        return _worded(answers.MISSING[place.type], text, place, said or f" (HTTP {status})")
    hint = f"check {_endpoint(place)} in .env, then run `make storage-check`"
    return Trouble(f"the store refuses the request (HTTP {status}){said}", hint)


def _by_code(exit_code: int, text: str, place: Place) -> Trouble | None:
    return _worded(answers.BUSY, text, place) if exit_code == _SERVICE else None
