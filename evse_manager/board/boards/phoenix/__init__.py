"""Phoenix Contact EV Charge Control Basic, spoken to by Modbus RTU."""
