"""What a person or a program is shown: the status, the record of runs, the checks, and how sizes, times and tables look."""
