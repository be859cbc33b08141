// Bare TCP: for requests no HTTP client would send.

import net from 'node:net';
import { after } from 'node:test';

import { until } from './harness.mjs';

const open = new Set();
after(() => open.forEach((wire) => wire.socket.destroy()));

/** One TCP connection: write to its socket, read what came in text. */
export class Wire {
  constructor(address) {
    const [host, port] = address.split(':');
    this.text = '';
    this.ended = false;
    this.socket = net.connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
    this.socket.setEncoding('latin1').on('data', (text) => { this.text += text; });
    this.socket.on('error', () => {}); // a reset is an end like any other here
    this.socket.on('end', () => this.socket.end());
    this.socket.on('close', () => { this.ended = true; open.delete(this); });
    open.add(this);
  }

  /** Sends a request's head and the beginning of its body, if any. */
  request(line, headers = {}, body = '') {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
    this.socket.write(`${line} HTTP/1.1\r\nHost: e2e\r\n${lines}\r\n`);
    if (body.length > 0) this.socket.write(body);
    return this;
  }

  /** The status of the first answer, or 0 if the connection was closed without one. */
  async status(patience) {
    await until(() => this.ended || /^HTTP\/1\.1 (?!100)\d+ .*?\r\n\r\n/s.test(this.text), () => `an answer, got ${this.text}`, patience);
    return Number(this.text.match(/HTTP\/1\.1 (?!100)(\d+)/)?.[1] ?? 0);
  }

  closed(patience) { return until(() => this.ended, () => `the end after ${this.text.slice(0, 200)}`, patience); }

  destroy() {
    open.delete(this);
    this.socket.destroy();
  }
}
