"""Billing meters, each beside any board."""
