"""What people of the high side decided about recommendations that were carried in: kept, and told to the low side."""
