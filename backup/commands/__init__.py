"""The verbs of `salespider-backup`, in modules that are loaded when one of theirs is asked for."""
