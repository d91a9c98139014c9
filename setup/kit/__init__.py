"""The recovery kit: one sealed file that, with the repository and an empty host, is enough to restore."""
