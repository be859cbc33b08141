// The page's side: the real Socket.IO clients, each recording all it was sent, in order.

import assert from 'node:assert/strict';
import { after } from 'node:test';

import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-v2';
import io3 from 'socket.io-client-v3';

import { freshRoom, until } from './harness.mjs';
import { push } from './push.mjs';

/** The clients: version and factory. 2.x needs --allow-eio3. */
export const CLIENTS = [
  { name: 'socket.io-client 4.8.4', io: io4 },
  { name: 'socket.io-client 3.1.3', io: io3 },
  { name: 'socket.io-client 2.5.0', io: io2 },
];

/** The ways to connect. */
export const WAYS = [
  { name: 'websocket', transports: ['websocket'] },
  { name: 'polling', transports: ['polling'] },
  { name: 'upgrade', transports: ['polling', 'websocket'] },
];

/** The statuses, as the contract spells them. */
export const CONNECTED = { code: '2001', msg: 'connect success' };
export const loggedIn = (room) => ({ code: '2002', msg: `login room (id:${room}) success` });
export const taken = (room) => ({ code: '2004', msg: `your room id(${room}) already exist` });
export const kicked = (room) => ({ code: '2005', msg: `you have kicked out room (id${room})` });

const open = new Set();
after(() => open.forEach((page) => page.close()));

/** One browser page's connection. */
export class Page {
  /** Connects; resolves when the page was told 2001. */
  static async open(service, options = {}) {
    const page = new Page(service, options);
    await page.expect(CONNECTED);
    return page;
  }

  /** Opens n pages at once. */
  static openAll(service, n, options = {}) {
    return Promise.all(Array.from({ length: n }, () => Page.open(service, options)));
  }

  constructor(service, { client = CLIENTS[0], way = WAYS[0], reconnection = false, ...options } = {}) {
    this.received = []; // every event, in order: [name, ...arguments]
    this.unread = 0; // what expect has not looked at yet
    this.problems = []; // why it could not connect, or was disconnected
    this.socket = client.io(service.url, {
      forceNew: true, reconnection, transports: way.transports, timeout: 15_000, ...options,
    });
    this.engine = (this.socket.io ?? this.socket.manager);
    // onAny exists from 3.x on, and none of the three has a public way to see an event before its handlers.
    const deliver = this.socket.onevent.bind(this.socket);
    this.socket.onevent = (packet) => {
      this.received.push(packet.data);
      deliver(packet);
    };
    this.socket.on('connect_error', (error) => this.problems.push(String(error)));
    this.socket.on('disconnect', (reason) => this.problems.push(reason));
    open.add(this);
  }

  get transport() { return this.engine.engine.transport.name; }

  close() {
    open.delete(this);
    this.socket.close();
  }

  emit(...args) { this.socket.emit(...args); }

  /** Emits with an ack callback; resolves with the ack's arguments. */
  ask(...args) {
    const answer = new Promise((resolve) => this.socket.emit(...args, (...acked) => resolve(acked)));
    return within(answer, () => `no ack for ${JSON.stringify(args)}; ${this}`);
  }

  /** The next status that was not looked at yet. */
  async told() {
    const event = await until(() => {
      while (this.unread < this.received.length) {
        const next = this.received[this.unread];
        this.unread += 1;
        if (next[0] === 'downmsg') return next;
      }
      return undefined;
    }, () => `a status for ${this}`);
    assert.equal(event.length, 2, 'a status is the one argument of downmsg');
    return event[1];
  }

  /** Checks that the statuses not looked at yet begin with these. */
  async expect(...statuses) {
    for (const status of statuses) assert.deepEqual(await this.told(), status);
  }

  /** Logs in and checks the answer. */
  async login(room, type, answer = loggedIn(room)) {
    if (type === undefined) this.emit('loginRoom', room);
    else this.emit('loginRoom', room, type);
    await this.expect(answer);
  }

  /** The statuses not looked at yet, without waiting. */
  rest() {
    const rest = this.received.slice(this.unread).filter(([name]) => name === 'downmsg').map(([, status]) => status);
    this.unread = this.received.length;
    return rest;
  }

  /** The arguments of all events of that name so far. */
  got(event) { return this.received.filter(([name]) => name === event).map(([, ...args]) => args); }

  toString() { return `page ${this.socket.id}: ${JSON.stringify(this.received.slice(-5))} ${this.problems}`; }
}

async function within(promise, what) {
  let value;
  promise.then((got) => { value = { got }; }, (error) => { value = { error }; });
  await until(() => value, what);
  if (value.error) throw value.error;
  return value.got;
}

/** Returns when all that was sent to the pages before has arrived, since pushes keep the order of a connection. */
export async function fence(service, ...pages) {
  const event = freshRoom('fence');
  await push(service, { event });
  for (const page of pages) await until(() => page.got(event).length > 0, () => `${event} at ${page}`);
}

/** Checks that the pages were told nothing but what was looked at. */
export async function untold(service, ...pages) {
  await fence(service, ...pages);
  for (const page of pages) assert.deepEqual(page.rest(), []);
}
