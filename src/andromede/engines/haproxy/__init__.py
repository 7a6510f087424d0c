"""Load balancers by HAProxy (TCP, HTTP, TLS) and nftables (UDP), in the namespace of their port."""
