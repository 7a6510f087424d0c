"""Compute service (Nova 2.1) and placement: servers, flavors, keypairs, capacity."""
