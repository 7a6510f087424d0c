// A serial console: text as it comes, without the escape sequences that place it; keys as a terminal sends them.
import { open } from "./link.js";

const MOST = 200000;
const text = document.getElementById("text");
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const NAMED = {
  Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B", ArrowRight: "\x1b[C",
  ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F", Delete: "\x1b[3~", PageUp: "\x1b[5~", PageDown: "\x1b[6~",
};
let shown = "";

function show(bytes) {
  const found = decoder.decode(bytes, { stream: true }).replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[()][A-Z0-9]|\x1b[@-Z\\-_]/g, "");
  for (const sign of found) {
    if (sign === "\b") shown = shown.slice(0, -1);
    else if (sign === "\r") continue;
    else if (sign === "\n" || sign === "\t" || sign >= " ") shown += sign;
  }
  shown = shown.slice(-MOST);
  text.textContent = shown;
  window.scrollTo(0, document.body.scrollHeight);
}

const send = open(document.getElementById("status"), show);
text.addEventListener("keydown", (event) => {
  let keys = NAMED[event.key];
  if (keys === undefined && event.key.length === 1) {
    const code = event.key.toUpperCase().charCodeAt(0);
    keys = event.ctrlKey && code >= 64 && code < 96 ? String.fromCharCode(code - 64) : event.key;
  }
  if (keys === undefined || event.metaKey) return;
  event.preventDefault();
  send(encoder.encode(keys));
});
text.addEventListener("paste", (event) => {
  event.preventDefault();
  send(encoder.encode(event.clipboardData.getData("text").replace(/\r?\n/g, "\r")));
});
text.focus();
