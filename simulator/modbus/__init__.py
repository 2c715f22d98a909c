"""False Modbus devices."""
