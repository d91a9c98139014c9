"""The WAL emergency: WAL is given up before the database's disk is full, as a plan, a lever, and a way back."""
