"""The cloud services' own command-line programs in the backup container: `aws`, `az`, and a stand-in for `gsutil`.

They use the identity, the address and the certificate authority that backups use: what they show is what backups meet.
"""
