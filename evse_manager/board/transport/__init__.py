"""Serial ports, Modbus and framings."""
