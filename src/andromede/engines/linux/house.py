"""A port with a namespace of its own, for a service of the cloud: its addresses on `eth0`, its groups as a guest's."""

from __future__ import annotations

from andromede.engines.linux import kernel, names
from andromede.engines.linux.host import Host
from andromede.engines.linux.links import Links
from andromede.network.engine import NetworkPart, PortPart

LINK = "eth0"


def place(host: Host, port_id: str) -> str:
    """The name of its namespace."""
    return names.namespace(host.installation, "p", port_id)


def create(host: Host, port: PortPart) -> None:
    host.step("house")
    kernel.create(place(host, port.id))
    kernel.inside(place(host, port.id), lambda: kernel.sysctl({"net/ipv6/conf/default/accept_dad": 0}))


def holds(host: Host, port: PortPart) -> bool:
    """Whether the pair's other end is where it belongs."""

    def look() -> bool:
        with Links() as links:
            return links.find(LINK) is not None

    return kernel.inside(place(host, port.id), look)


def vacate(host: Host, port: PortPart) -> None:
    """Take away an end whose other one is lost."""

    def within() -> None:
        with Links() as links:
            links.remove(LINK)

    kernel.inside(place(host, port.id), within)


def settle(host: Host, part: NetworkPart, port: PortPart) -> None:
    """Addresses and routes. Host routes of its subnets hold here as in a guest."""
    subnets = {subnet.id: subnet for subnet in part.subnets}
    mine = [(fixed.address, subnets[fixed.subnet_id]) for fixed in port.fixed if fixed.subnet_id in subnets]

    def within() -> None:
        with Links() as links:
            for name in ("lo", LINK):
                link = links.all()[name]
                links.settle(link, {"up": True} if name == "lo" else {"up": True, "mac": port.mac, "mtu": part.mtu})
            link = links.all()[LINK]
            host.step("house addresses")
            kernel.sysctl({f"net/ipv6/conf/{LINK}/accept_ra": 0})
            links.addresses(link, [f"{address}/{subnet.cidr.partition('/')[2]}" for address, subnet in mine])
            routes: dict[str, tuple[str, int | None]] = {}
            for _, subnet in mine:
                if subnet.gateway:
                    routes["::/0" if subnet.version == 6 else "0.0.0.0/0"] = (subnet.gateway, link.index)
                routes |= {route.destination: (route.via, link.index) for route in subnet.routes}
            links.routes(routes)

    kernel.inside(place(host, port.id), within)


def remove(host: Host, port_id: str) -> None:
    """Its namespace; what runs in it is whoever's who started it."""
    if port_id:
        host.step("remove house")
        kernel.destroy(place(host, port_id))
