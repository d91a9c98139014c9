"""The deployment of a command that works for a while: a signal asks it to stop."""

from __future__ import annotations

from backup.deployment import Deployment
from backup.signals import stop_on_signals


def interruptible() -> Deployment:
    """Open the deployment; SIGTERM and SIGINT set its stop flag. Raises what `Deployment.open` raises."""
    deployment = Deployment.open()
    stop_on_signals(deployment.stop)
    return deployment
