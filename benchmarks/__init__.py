"""What is claimed about speed, as programs that print a table. See __main__.py."""
