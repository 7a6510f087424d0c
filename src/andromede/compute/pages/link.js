// The way to a console: one websocket, whose token is good for one use.
export function open(status, received) {
  const token = new URLSearchParams(location.search).get("token") || "";
  history.replaceState(null, "", location.pathname);
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = new WebSocket(`${scheme}://${location.host}/console/open?token=${encodeURIComponent(token)}`, ["binary"]);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => { status.textContent = status.dataset.open || "connected"; };
  socket.onclose = () => { status.textContent = "closed: the console was opened elsewhere, the server stopped, or the link was used already. Ask for a new one."; };
  socket.onmessage = (event) => received(new Uint8Array(event.data));
  return (bytes) => { if (socket.readyState === WebSocket.OPEN) socket.send(bytes); };
}
