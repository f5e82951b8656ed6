"""The lease of manager and board, and the validation of commands."""
