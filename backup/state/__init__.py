"""What must outlive a restart: runs, alarms, messages to send, marks. One SQLite file, one class a concern."""
