"""Whose backups these are: the guard over the cluster's identity, the repository's key, the records of passphrases."""
