"""Delivering what was told: a thread in the supervisor that watches the outbox, and a short-lived process that sends.

The libraries that speak to the outside are loaded in that process alone. They are memory that the supervisor need not
carry for a year, and a receiver that hangs cannot hang the supervisor.
"""
