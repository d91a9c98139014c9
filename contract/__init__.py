"""What the setup and backup images agree on, and nothing else.

Both images carry this package; neither imports the other's. A change here is a change of the interface between them.
"""
