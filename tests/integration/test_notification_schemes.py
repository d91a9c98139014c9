"""The list of services that setup accepts is the one that the notification library in this image has."""

from __future__ import annotations

import apprise

from setup.notification_schemes import SCHEMES


def test_setup_knows_what_the_library_knows() -> None:
    # Without those that need a desktop, or a package that is not here.
    services = apprise.Apprise().details(show_disabled=False)["schemas"]
    known = {scheme for service in services for kind in ("protocols", "secure_protocols") for scheme in service[kind] or ()}
    assert sorted(SCHEMES) == sorted(known), f"of Apprise {apprise.__version__}"
