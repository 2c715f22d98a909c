"""False Logix controllers on EtherNet/IP."""
