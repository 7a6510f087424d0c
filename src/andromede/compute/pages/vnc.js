// A display: the remote framebuffer protocol 3.8 (RFC 6143) without authentication, raw rectangles and copies of them.
import { open } from "./link.js";

const canvas = document.getElementById("screen");
const picture = canvas.getContext("2d", { alpha: false });
const NAMED = {
  Backspace: 0xff08, Tab: 0xff09, Enter: 0xff0d, Escape: 0xff1b, Insert: 0xff63, Delete: 0xffff, Home: 0xff50, End: 0xff57,
  PageUp: 0xff55, PageDown: 0xff56, ArrowLeft: 0xff51, ArrowUp: 0xff52, ArrowRight: 0xff53, ArrowDown: 0xff54,
  Shift: 0xffe1, Control: 0xffe3, Alt: 0xffe9, AltGraph: 0xfe03, Meta: 0xffe7, CapsLock: 0xffe5,
};
for (let n = 1; n <= 12; n += 1) NAMED[`F${n}`] = 0xffbd + n;

let held = new Uint8Array(0);
let more = null;

function received(bytes) {
  const joined = new Uint8Array(held.length + bytes.length);
  joined.set(held);
  joined.set(bytes, held.length);
  held = joined;
  if (more) more();
}

async function take(count) {
  while (held.length < count) await new Promise((resolve) => { more = resolve; });
  const found = held.slice(0, count);
  held = held.slice(count);
  return found;
}

const view = (bytes) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const send = open(document.getElementById("status"), received);

function ask(whole) {
  const bytes = new Uint8Array(10);
  bytes[0] = 3;
  bytes[1] = whole ? 0 : 1;
  view(bytes).setUint16(6, canvas.width);
  view(bytes).setUint16(8, canvas.height);
  send(bytes);
}

async function hello() {
  await take(12);
  send(new TextEncoder().encode("RFB 003.008\n"));
  await take((await take(1))[0]);
  send(new Uint8Array([1]));
  if (view(await take(4)).getUint32(0)) throw new Error("refused");
  send(new Uint8Array([1]));
  const first = view(await take(24));
  canvas.width = first.getUint16(0);
  canvas.height = first.getUint16(2);
  await take(first.getUint32(20));
  send(new Uint8Array([0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]));
  const wanted = new Uint8Array(16);
  wanted[0] = 2;
  view(wanted).setUint16(2, 3);
  [0, 1, -223].forEach((kind, at) => view(wanted).setInt32(4 + 4 * at, kind));
  send(wanted);
}

async function rectangle() {
  const head = view(await take(12));
  const [x, y, w, h] = [0, 2, 4, 6].map((at) => head.getUint16(at));
  const kind = head.getInt32(8);
  if (kind === -223) {
    canvas.width = w;
    canvas.height = h;
    return true;
  }
  if (kind === 1) {
    const from = view(await take(4));
    picture.drawImage(canvas, from.getUint16(0), from.getUint16(2), w, h, x, y, w, h);
    return false;
  }
  if (w === 0 || h === 0) return false;
  const raw = await take(w * h * 4);
  const image = picture.createImageData(w, h);
  for (let at = 0; at < raw.length; at += 4) {
    image.data[at] = raw[at + 2];
    image.data[at + 1] = raw[at + 1];
    image.data[at + 2] = raw[at];
    image.data[at + 3] = 255;
  }
  picture.putImageData(image, x, y);
  return false;
}

async function run() {
  await hello();
  ask(true);
  for (;;) {
    const kind = (await take(1))[0];
    if (kind === 0) {
      let resized = false;
      const count = view(await take(3)).getUint16(1);
      for (let n = 0; n < count; n += 1) resized = await rectangle() || resized;
      ask(resized);
    } else if (kind === 1) {
      await take(6 * view(await take(5)).getUint16(3));
    } else if (kind === 3) {
      await take(view(await take(7)).getUint32(3));
    }
  }
}

function key(code, down) {
  const bytes = new Uint8Array(8);
  bytes[0] = 4;
  bytes[1] = down ? 1 : 0;
  view(bytes).setUint32(4, code);
  send(bytes);
}

function keysym(event) {
  if (event.key.length !== 1) return NAMED[event.key];
  const point = event.key.codePointAt(0);
  return point < 256 ? point : 0x1000000 + point;
}

for (const [name, down] of [["keydown", true], ["keyup", false]]) {
  canvas.addEventListener(name, (event) => {
    const code = keysym(event);
    if (code === undefined) return;
    event.preventDefault();
    key(code, down);
  });
}

for (const name of ["mousedown", "mouseup", "mousemove"]) {
  canvas.addEventListener(name, (event) => {
    const place = canvas.getBoundingClientRect();
    const bytes = new Uint8Array(6);
    bytes[0] = 5;
    bytes[1] = (event.buttons & 1) | ((event.buttons & 4) >> 1) | ((event.buttons & 2) << 1);
    view(bytes).setUint16(2, Math.max(0, Math.round((event.clientX - place.left) * canvas.width / place.width)));
    view(bytes).setUint16(4, Math.max(0, Math.round((event.clientY - place.top) * canvas.height / place.height)));
    send(bytes);
    canvas.focus();
  });
}
canvas.addEventListener("contextmenu", (event) => event.preventDefault());
document.getElementById("attention").addEventListener("click", () => {
  const keys = [0xffe3, 0xffe9, 0xffff];
  keys.forEach((code) => key(code, true));
  keys.reverse().forEach((code) => key(code, false));
  canvas.focus();
});
canvas.focus();
run();
