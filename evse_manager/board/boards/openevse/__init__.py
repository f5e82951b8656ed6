"""OpenEVSE boards, spoken to by RAPI."""
