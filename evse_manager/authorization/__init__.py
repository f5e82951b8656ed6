"""
Who may charge where: tokens, token list, reservations.

Pure and deterministic: ``Authorizer.react(input, steady, wall)`` returns the calls to connectors, the answers
and what has to be stored; it never reads a clock and never calls out.
"""
