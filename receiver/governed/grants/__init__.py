"""Requests, decisions and grants: who may read what, from when until when."""
