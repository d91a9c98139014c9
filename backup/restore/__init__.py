"""The restore: a plan that refuses what cannot work, then the steps that carry it out.

Everything that decides is in `plan` and `timeline`; everything that does is behind a door of its own.
"""
