"""Moving backups: to a new place, to another passphrase, away from a repository that is lost."""
