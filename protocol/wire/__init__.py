"""The datagrams and the code that repairs them."""
