"""The `catch` process: datagrams to journaled blocks; it can say nothing and open nothing."""
