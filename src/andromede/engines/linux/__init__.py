"""Networks by the Linux kernel: namespaces, bridges, veth pairs, taps, nftables, dnsmasq (COMPUTE.md, section 10)."""
