"""What a restore would do, and to which second: windows, targets, costs, and refusals that name the nearest possible target.

`choosing` is the way in. `holdings`, `knowledge` and `seeking` ask the repositories; what decides is pure. Nothing here
changes anything.
"""
