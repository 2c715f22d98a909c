"""A vendor's month as evidence: who could read, who did, who allowed it, who looked afterwards."""
