// A serial console: one line that a program may edit (as shells do), above it what has scrolled away; no placement on a
// screen. Keys as a terminal sends them.
import { open } from "./link.js";

const MOST = 200000;
const LONGEST = 4000;
const text = document.getElementById("text");
const decoder = new TextDecoder();
const encoder = new TextEncoder();
const NAMED = {
  Enter: "\r", Backspace: "\x7f", Tab: "\t", Escape: "\x1b", ArrowUp: "\x1b[A", ArrowDown: "\x1b[B", ArrowRight: "\x1b[C",
  ArrowLeft: "\x1b[D", Home: "\x1b[H", End: "\x1b[F", Delete: "\x1b[3~", PageUp: "\x1b[5~", PageDown: "\x1b[6~",
};
const SIGNS = /\x1b\[([0-9;?]*)[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-Z\\-~]|[\s\S]/gu;
const UNFINISHED = /\x1b(?:\[[0-9;?]*[ -/]*|\][^\x07\x1b]*|[ -/]+)?$/;
let above = "";
let line = "";
let at = 0;
let rest = "";

function control(numbers, kind) {
  const first = parseInt(numbers, 10) || 0;
  const count = Math.min(Math.max(1, first), LONGEST);
  if (kind === "K" && first === 1) line = " ".repeat(at) + line.slice(at);
  else if (kind === "K" && first === 2) line = "";
  else if (kind === "J" && first > 1) above = line = "";
  else if (kind === "K" || kind === "J") line = line.slice(0, at);
  else if (kind === "C") at = Math.min(at + count, LONGEST);
  else if (kind === "D") at = Math.max(0, at - count);
  else if (kind === "G") at = count - 1;
  else if (kind === "H") at = 0;
  else if (kind === "P") line = line.slice(0, at) + line.slice(at + count);
  else if (kind === "@") line = line.slice(0, at) + " ".repeat(count) + line.slice(at);
}

function put(sign) {
  if (sign === "\n" || at >= LONGEST) {
    above = (above + line + "\n").slice(-MOST);
    line = "";
    at = 0;
  }
  if (sign === "\r") at = 0;
  else if (sign === "\b") at = Math.max(0, at - 1);
  else if (sign === "\t") at += 8 - at % 8;
  else if (sign >= " ") {
    line = line.padEnd(at).slice(0, at) + sign + line.slice(at + sign.length);
    at += sign.length;
  }
}

function show(bytes) {
  const found = rest + decoder.decode(bytes, { stream: true });
  rest = (UNFINISHED.exec(found) || [""])[0];
  if (rest.length > LONGEST) rest = "";
  for (const [sign, numbers, kind] of found.slice(0, found.length - rest.length).matchAll(SIGNS)) {
    if (kind) control(numbers, kind);
    else if (sign[0] !== "\x1b") put(sign);
  }
  text.textContent = above + line;
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
