"""What vendors recommend to change, who let it be carried to the high side, and what was decided about it there."""
