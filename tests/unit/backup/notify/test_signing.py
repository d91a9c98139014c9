"""The signature is the one that libraries of the Standard Webhooks project accept."""

from __future__ import annotations

import base64

import pytest

from backup.notify import signing

# The example that the project's own libraries test their signatures with.
MESSAGE, SENT_AT, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
KEY = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_published_example() -> None:
    assert signing.headers(MESSAGE, SENT_AT, BODY, f"whsec_{KEY}") == {
        "webhook-id": MESSAGE,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_a_secret_without_the_prefix_is_taken_as_it_is() -> None:
    """The same key as above, given as its bytes: `whsec_` is nothing but another way to write it."""
    plain = "a secret that somebody made up"
    prefixed = "whsec_" + base64.b64encode(plain.encode()).decode()
    assert signing.headers(MESSAGE, SENT_AT, BODY, plain) == signing.headers(MESSAGE, SENT_AT, BODY, prefixed)


def test_padding_may_be_missing() -> None:
    encoded = base64.b64encode(b"x" * 32).decode()
    assert encoded.endswith("=")
    padded, bare = (signing.headers(MESSAGE, SENT_AT, BODY, f"whsec_{key}") for key in (encoded, encoded.rstrip("=")))
    assert padded == bare


@pytest.mark.parametrize("changed", [("msg_x", SENT_AT, BODY), (MESSAGE, 1614265331, BODY), (MESSAGE, SENT_AT, b"{}")])
def test_everything_is_signed(changed: tuple[str, int, bytes]) -> None:
    assert signing.headers(*changed, f"whsec_{KEY}")["webhook-signature"] != SIGNATURE


@pytest.mark.parametrize("secret", ["whsec_", "whsec_=", "whsec_not base64!", "whsec_MfKQ9"])
def test_a_secret_that_cannot_be_used_is_named_without_being_shown(secret: str) -> None:
    with pytest.raises(signing.SecretError) as caught:
        signing.headers(MESSAGE, SENT_AT, BODY, secret)
    assert secret.removeprefix("whsec_") not in str(caught.value) or not secret.removeprefix("whsec_").strip("=")
    assert caught.value.__cause__ is None
