"""What a register, a current and a missing value mean: the only owner, the only thresholds."""
