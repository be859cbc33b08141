// Bad input on sockets: a malformed frame closes its own connection and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { freshRoom, shared, until } from './harness.mjs';
import { Page, WAYS, fence, untold } from './pages.mjs';
import { push } from './push.mjs';
import { Raw, frame } from './raw.mjs';

const service = await shared(['--allow-eio3']);
const bystanders = await Promise.all(WAYS.map((way) => Page.open(service, { way })));
const room = freshRoom('bystanders');
for (const page of bystanders) await page.login(room, 'loginWhenever');
await fence(service, ...bystanders);
const base = service.observe();

/** Checks that the process lives and the bystanders noticed nothing: no status, no disconnect, pushes go on. */
async function unharmed() {
  assert.ok(service.alive, service.tail);
  const event = freshRoom('still');
  await push(service, { room, event, data: '1' });
  await untold(service, ...bystanders);
  for (const page of bystanders) {
    assert.deepEqual(page.got(event), [[1]]);
    assert.deepEqual(page.problems, []);
    page.received.length = 0;
    page.unread = 0;
  }
}

const text = (payload) => frame(payload);
const binary = (bytes) => frame(bytes, { opcode: 2 });
const bytes = (...values) => Buffer.from(values);
const deep = (n) => `42["x",${'['.repeat(n)}${']'.repeat(n)}]`;

// After CONNECT, on a connection of their own; each must end it.
const FATAL = [
  // Socket.IO packets
  ['42 (no payload)', text('42')],
  ['431 (ack without payload)', text('431')],
  ['43', text('43')],
  ['451- and a binary frame', Buffer.concat([text('451-'), binary(bytes(1, 2, 3))])],
  ['450-', text('450-')],
  ['450-["x"]', text('450-["x"]')],
  ['45-["x"]', text('45-["x"]')],
  ['461- without id', text('461-[]')],
  ['a huge attachment count', text('4599999999999999999999-["x",{"_placeholder":true,"num":0}]')],
  ['1,000,000 attachments', text('451000000-["x",{"_placeholder":true,"num":0}]')],
  ['a binary frame nobody announced', binary(bytes(1, 2, 3))],
  ['a text packet in the middle of attachments', Buffer.concat([
    text('451-["x",{"_placeholder":true,"num":0}]'), text('42["y"]')])],
  ['event that is no array', text('42{"a":1}')],
  ['event null', text('42null')],
  ['event of an empty array', text('42[]')],
  ['event name null', text('42[null]')],
  ['event name an object', text('42[{}]')],
  ['broken JSON', text('42["x"')],
  ['JSON and something after', text('42["x"]x')],
  ['packet type 7', text('47["x"]')],
  ['packet type x', text('4x["x"]')],
  ['an empty message', text('4')],
  ['an ack id beyond numbers', text('4299999999999999999999999["loginRoom","1"]')],
  ['CONNECT with a number', text('405')],
  ['CONNECT with an array', text('40[]')],
  ['CONNECT with broken JSON', text('40{"a"')],
  ['a reserved event name', text('42["disconnect"]')],
  ['reserved connect', text('42["connect"]')],
  ['deep JSON', text(deep(100_000))],
  // Engine.IO packets
  ['an empty frame', text('')],
  ['packet type 9', text('9')],
  ['packet type a', text('abc')],
  ['open from a client', text('0{}')],
  ['an upgrade without a probe', text('5')],
  // WebSocket frames
  ['invalid UTF-8', frame(Buffer.from([0x34, 0x32, 0xff, 0xfe]))],
  ['UTF-8 of a surrogate', frame(Buffer.from([0x34, 0x32, 0xed, 0xa0, 0x80]))],
  ['an unmasked frame', frame('42["x"]', { masked: false })],
  ['reserved bits', frame('42["x"]', { reserved: 0x40 })],
  ['opcode 3', frame('42["x"]', { opcode: 3 })],
  ['opcode 11', frame('', { opcode: 11 })],
  ['a continuation of nothing', frame('x', { opcode: 0 })],
  ['a fragmented ping', frame('x', { opcode: 9, fin: false })],
  ['a ping of 126 bytes', frame('x'.repeat(126), { opcode: 9 })],
  ['a text frame inside a fragmented message', Buffer.concat([frame('42', { fin: false }), frame('["x"]')])],
  ['a close frame of one byte', frame(bytes(3), { opcode: 8 })],
  ['close code 1005', frame(bytes(0x03, 0xed), { opcode: 8 })],
  ['a frame of 2^62 bytes', Buffer.concat([bytes(0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)])],
  ['a frame with the top bit of its length set', bytes(0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0)],
  ['a length that is not the shortest', bytes(0x81, 0xfe, 0, 1, 0, 0, 0, 0, 0x32)],
  ['a frame over --max-frame', frame(`42["x","${'y'.repeat(2 ** 20)}"]`)],
  ['plain bytes', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
];

test('each malformed frame closes its own connection, and nothing else', async (t) => {
  for (const [name, sent] of FATAL) {
    await t.test(name, async () => {
      const raw = await Raw.open(service);
      raw.socket.write(sent);
      await raw.closed(3000);
    });
  }
  await unharmed();
});

test('the same as the very first thing, before CONNECT, with and without the answer awaited', async () => {
  for (const [, sent] of FATAL) {
    const early = new Raw(service, { early: sent });
    const late = new Raw(service);
    await late.until((frameText) => frameText.startsWith('0{'));
    late.socket.write(sent);
    await sleep(1);
    // Packets are judged by the same rules; what is harmless before CONNECT ends with the connect timeout.
    early.destroy();
    late.destroy();
  }
  await unharmed();
});

test('a message that ends in the middle of a frame, and connections that end anywhere', async () => {
  const whole = Buffer.concat([text('40'), text(`42["loginRoom","${room}-cut","loginWhenever"]`), text('3')]);
  for (let cut = 0; cut <= whole.length; cut += 1) {
    const raw = new Raw(service, { early: whole.subarray(0, cut) });
    await until(() => raw.upgraded || raw.ended, 'the upgrade');
    if (cut % 2) raw.socket.resetAndDestroy();
    else raw.socket.end();
  }
  await unharmed();
});

test('close codes and pings of WebSocket are answered as RFC 6455 says', async () => {
  const raw = await Raw.open(service);
  raw.socket.write(frame('hello', { opcode: 9 }));
  raw.socket.write(frame(bytes(0x03, 0xe8), { opcode: 8 }));
  await raw.closed();
  assert.equal(raw.closeCode, 1000);
  const large = await Raw.open(service);
  large.socket.write(frame('x'.repeat(2 ** 20 + 1)).subarray(0, 1000));
  await large.closed(3000);
  assert.equal(large.closeCode, 1009, 'too large, said from the header alone');
  const utf8 = await Raw.open(service);
  utf8.socket.write(frame(bytes(0x34, 0xff)));
  await utf8.closed(3000);
  assert.equal(utf8.closeCode, 1007);
});

test('a fragmented message is put together, with a ping between its parts', async () => {
  const raw = await Raw.open(service);
  const own = freshRoom();
  raw.socket.write(Buffer.concat([
    frame('42["login', { fin: false }), frame('', { opcode: 9 }), frame(`Room","${own}`, { opcode: 0, fin: false }),
    frame('"]', { opcode: 0 })]));
  await raw.until((got) => got.includes(`(id:${own})`));
  raw.destroy();
});

test('unknown namespaces are refused and harmless', async () => {
  const raw = await Raw.open(service);
  raw.send('40/admin,');
  assert.match(await raw.until((got) => got.startsWith('44/admin,')), /"message":"Invalid namespace"/);
  raw.send('40/x?token=1,{"a":1}');
  await raw.until((got) => got.startsWith('44/x'));
  await raw.login(freshRoom());
  // Events for a namespace that is not connected.
  const other = await Raw.open(service);
  other.send('42/admin,["loginRoom","1"]');
  other.send('41/admin,');
  await sleep(50);
  raw.destroy();
  other.destroy();
  for (let i = 0; i < 20; i += 1) {
    const many = await Raw.open(service);
    for (let n = 0; n < 500; n += 1) many.send(`40/n${n},`);
    await until(() => many.ended || many.texts.filter((got) => got.startsWith('44/')).length === 500, 'the refusals');
    many.destroy();
  }
  await unharmed();
});

test('100,000 frames from one client as fast as it can: all are taken, others go on, memory stays', async () => {
  const kinds = ['42["no-such-event",{"a":[1,2,3]}]', '42["loginRoom","flood","loginWhenever"]', '3', '421["leaveRoom","flood"]'];
  const before = service.observe().rss;
  for (const kind of kinds) {
    const raw = await Raw.open(service, { keep: false });
    const chunk = Buffer.concat(Array.from({ length: 1000 }, () => text(kind)));
    let over = false;
    raw.onText = (got) => { over ||= got.startsWith('437['); };
    const flood = (async () => {
      for (let i = 0; i < 100; i += 1) {
        raw.socket.write(chunk);
        await until(() => raw.ended || raw.socket.writableLength < 2 ** 20, 'the flood to be taken');
      }
      raw.send('427["leaveRoom","no room of it"]');
    })();
    let slowest = 0;
    while (!over) {
      assert.ok(!raw.ended, 'what it sends is allowed');
      const begun = performance.now();
      await fence(service, ...bystanders);
      slowest = Math.max(slowest, performance.now() - begun);
    }
    await flood;
    assert.ok(slowest < 1500, `a push took ${Math.round(slowest)} ms meanwhile`);
    raw.destroy();
  }
  await unharmed();
  const grown = service.observe().rss - before;
  assert.ok(grown < 64 * 2 ** 20, `resident memory grew by ${Math.round(grown / 2 ** 20)} MiB`);
});

test('afterwards connections, threads and memory are back', async () => {
  await until(() => service.observe().fds <= base.fds + 3, () => `${service.observe().fds} descriptors, were ${base.fds}`);
  const now = service.observe();
  assert.ok(now.threads <= base.threads + 12, `${now.threads} threads, were ${base.threads}`);
  assert.ok(now.rss <= base.rss + 96 * 2 ** 20, `${now.rss} bytes, were ${base.rss}`);
  assert.doesNotMatch(service.log, /panic/);
  await unharmed();
});
