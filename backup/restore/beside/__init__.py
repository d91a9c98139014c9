"""A cluster beside the live one: the room for it, the files, and the standby that proves them. The live one goes on."""
