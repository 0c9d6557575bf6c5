"""The verbs of the `workshop` command, a few to a module: parse, call one function, print.

Each module has `add(verbs, common)`, which adds its parsers; a parser's `call` returns the exit status.
"""
