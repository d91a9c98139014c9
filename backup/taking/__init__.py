"""A backup, from the lock to the last word: looked at before, taken, proven, recorded, told. `jobs` is the way in."""
