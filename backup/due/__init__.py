"""What is to be taken and when: the schedule, what must be tried again, what waits, what is late, and of which type it is.

`agenda` puts it together for the supervisor. Nothing here runs anything.
"""
