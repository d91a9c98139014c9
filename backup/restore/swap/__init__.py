"""The exchange of two clusters in seconds, under a journal that any later command can finish or take back."""
