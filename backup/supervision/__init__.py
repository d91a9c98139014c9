"""The supervisor's process: its loop, the threads beside it, and the pages that tell whether all is well."""
