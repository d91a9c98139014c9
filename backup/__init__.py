"""The supervisor and the operator's commands: everything that runs pgbackrest, except archiving itself."""
