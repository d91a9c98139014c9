"""A peek: the database at another moment, read-only, beside the live one, which it never touches.

It is the restore beside without its swap: a standby that stays up, archives nothing, is never
promoted, and is removed again.
"""
