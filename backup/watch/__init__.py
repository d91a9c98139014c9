"""Watching: the archiver, the write-ahead log and the disks, once a minute, and what follows from it."""
