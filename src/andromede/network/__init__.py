"""Networking service (Neutron v2.0): networks, ports, routers, security groups, and their data plane."""
