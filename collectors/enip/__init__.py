"""Reads Rockwell Logix controllers by EtherNet/IP, and writes to none."""
