"""Many tags in one chart: what an address asks for, the curves, the shares of time, small curves for tables."""
