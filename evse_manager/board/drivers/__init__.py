"""Drivers, one file each; ``driver.DRIVERS`` lists them."""
