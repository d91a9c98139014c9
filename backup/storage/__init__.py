"""Object stores and directories as places for backups: can they be used, and if not, why not and what helps."""
