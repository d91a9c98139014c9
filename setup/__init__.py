"""The one-shot setup container: environment and templates in, the complete configuration of the other containers out.

Run as `python -m setup`. It promises that a configuration appears whole or not at all, that the same input gives the
same bytes, and that everything that is wrong is said in one go.
"""
