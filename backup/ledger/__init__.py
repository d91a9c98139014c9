"""The WAL ledger: from what an archive lists to the exact intervals that can be recovered, and the holes between them.

All of it is pure. Nothing else sees a hole before recovery silently ends in it: `check`, `info` and `verify` do not.
"""
