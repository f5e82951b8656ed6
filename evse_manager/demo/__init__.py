"""The demonstration: a scenario played on real nodes."""
