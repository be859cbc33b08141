// A bare Socket.IO client over a bare WebSocket (RFC 6455) on a bare TCP socket: light enough for thousands, it shows
// the bytes of each frame, may send anything at all, and may stop reading.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import net from 'node:net';
import { after } from 'node:test';

import { until } from './harness.mjs';

const TEXT = 1;
const CLOSE = 8;
const open = new Set();
after(() => open.forEach((raw) => raw.destroy()));

/** One frame from a client, masked; opcode 1 is text. */
export function frame(payload, { opcode = TEXT, fin = true, masked = true, reserved = 0 } = {}) {
  const body = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | reserved | opcode];
  const mask = masked ? 0x80 : 0;
  if (body.length < 126) head.push(mask | body.length);
  else if (body.length < 65536) head.push(mask | 126, body.length >> 8, body.length & 255);
  else head.push(mask | 127, 0, 0, 0, 0, (body.length >>> 24) & 255, (body.length >> 16) & 255, (body.length >> 8) & 255, body.length & 255);
  if (!masked) return Buffer.concat([Buffer.from(head), body]);
  const key = randomBytes(4);
  for (let i = 0; i < body.length; i += 1) body[i] ^= key[i & 3];
  return Buffer.concat([Buffer.from(head), key, body]);
}

/** The request that opens a WebSocket. */
export function upgradeRequest(host, { query = 'EIO=4&transport=websocket', headers = {} } = {}) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return `GET /socket.io/?${query} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n`
    + `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n${lines}\r\n`;
}

/** One bare connection. */
export class Raw {
  /** Connects the WebSocket and logs into the main namespace; resolves when told 2001. keep: see the field. */
  static async open(service, { keep = true, ...options } = {}) {
    const raw = new Raw(service, options);
    raw.send('40');
    await raw.until((text) => text.startsWith('42["downmsg",{"code":"2001"'));
    raw.keep = keep;
    return raw;
  }

  /** @param early what to send at once, before the server has answered anything. */
  constructor(service, { early = Buffer.alloc(0), address = service.public, ...options } = {}) {
    this.texts = []; // the text frames so far, while keep is true
    this.seen = 0; // what until has not looked at yet
    this.count = 0; // text frames
    this.keep = true;
    this.onText = null; // called with each text frame
    this.closeCode = undefined; // of the server's close frame
    this.head = ''; // the answer to the upgrade
    this.ended = false;
    const [host, port] = address.split(':');
    this.socket = net.connect({ port: Number(port), host, noDelay: true });
    this.socket.on('data', (chunk) => this.#read(chunk));
    this.socket.on('error', () => {}); // a reset is an end like any other here
    this.socket.on('close', () => { this.ended = true; open.delete(this); });
    this.socket.write(Buffer.concat([Buffer.from(upgradeRequest(address, options)), early]));
    this.pending = Buffer.alloc(0);
    open.add(this);
  }

  #read(chunk) {
    let data = this.pending.length > 0 ? Buffer.concat([this.pending, chunk]) : chunk;
    if (!this.upgraded) {
      const end = data.indexOf('\r\n\r\n');
      if (end < 0) { this.pending = data; return; }
      this.head = data.subarray(0, end).toString();
      this.upgraded = true;
      data = data.subarray(end + 4);
    }
    let at = 0;
    for (;;) {
      if (data.length - at < 2) break;
      let length = data[at + 1] & 127;
      let body = at + 2;
      if (length === 126) {
        if (data.length - at < 4) break;
        length = data.readUInt16BE(at + 2);
        body = at + 4;
      } else if (length === 127) {
        if (data.length - at < 10) break;
        length = Number(data.readBigUInt64BE(at + 2));
        body = at + 10;
      }
      if (data.length - body < length) break;
      this.#frame(data[at] & 15, data.subarray(body, body + length));
      at = body + length;
    }
    this.pending = data.subarray(at);
  }

  #frame(opcode, body) {
    if (opcode === CLOSE) this.closeCode = body.length >= 2 ? body.readUInt16BE(0) : 1005;
    if (opcode !== TEXT) return;
    const text = body.toString('utf8');
    if (text === '2') { this.send('3'); return; }
    this.count += 1;
    if (this.keep) this.texts.push(text);
    this.onText?.(text);
  }

  /** Sends one text frame. */
  send(text) { this.socket.write(frame(text)); }

  /** Emits an event as a Socket.IO client would; args are JSON values. */
  emit(...args) { this.send(`42${JSON.stringify(args)}`); }

  /** The next text frame not looked at yet that fits. */
  until(fits) {
    return until(() => {
      while (this.seen < this.texts.length) {
        const text = this.texts[this.seen];
        this.seen += 1;
        if (fits(text)) return text;
      }
      assert.ok(!this.ended, `closed while waiting, after ${JSON.stringify(this.texts.slice(-3))}`);
      return undefined;
    }, () => `a frame; last ones: ${JSON.stringify(this.texts.slice(-3))}`);
  }

  /** Logs in and waits for the 2002; returns the frame. */
  async login(room, type = 'loginWhenever') {
    this.emit('loginRoom', room, type);
    return this.until((text) => text.startsWith('42["downmsg",{"code":"2002"'));
  }

  /** Resolves when the server has ended the connection. */
  closed(patience) { return until(() => this.ended, 'the server to close the connection', patience); }

  destroy() {
    open.delete(this);
    this.socket.destroy();
  }
}
