"""What every collector is tested with, and a stand without a device for it."""
