"""The restore: a plan that refuses what cannot work, then the steps that carry it out.

`planning` decides; `beside` fills a directory and proves what is in it; `swap` exchanges the two clusters under a journal.
`transaction` is these three in a row, `in_place` the way without them, `command` the verbs.
"""
