"""What the repositories hold, how far back that reaches, and what is let go; and when it is lost, that it is said."""
