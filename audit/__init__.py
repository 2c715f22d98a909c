"""The auditor's kit: stands on the protocol alone, and each proof says what it does not prove."""
