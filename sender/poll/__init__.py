"""The `poll` process: devices read by their schedules, what came handed to the packer; it never touches the diode."""
