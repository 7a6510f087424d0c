"""Networks by the Linux kernel: namespaces, bridges, veth pairs, taps, nftables, dnsmasq."""
