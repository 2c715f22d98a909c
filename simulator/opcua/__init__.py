"""False OPC UA devices."""
