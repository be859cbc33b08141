// POST /push under bodies that are too large, too slow, cut short or badly framed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { shared, until } from './harness.mjs';
import { Page, fence } from './pages.mjs';
import { OK, envelope, post, push } from './push.mjs';
import { Wire } from './wire.mjs';

const MIB = 2 ** 20;
const JSON_TYPE = { 'Content-Type': 'application/json' };

const service = await shared();
const bystander = await Page.open(service);
await push(service, { room: 'nobody', event: 'warm-up' });
const base = service.observe();

/** Checks that only fences were sent since the last look, and that no connection or memory was kept. */
async function nothingSent() {
  await fence(service, bystander);
  const events = bystander.received.splice(0).map(([name]) => name).filter((name) => !name.startsWith('fence'));
  bystander.unread = 0;
  assert.deepEqual(events.filter((name) => name !== 'downmsg'), []);
}

const sized = (bytes) => {
  const shell = envelope({ event: 'big', data: '""' });
  return envelope({ event: 'big', data: JSON.stringify('x'.repeat(bytes - shell.length)) });
};

function isRefusal(wire, pattern = /nothing was sent/) {
  const body = wire.text.slice(wire.text.indexOf('\r\n\r\n') + 4);
  const parsed = JSON.parse(body.slice(body.indexOf('{'), body.lastIndexOf('}') + 1));
  assert.equal(parsed.ROOT.BODY.RETURN_CODE, '0000');
  assert.match(parsed.ROOT.BODY.RETURN_MSG, pattern);
}

test('a body of exactly --max-body is accepted, one byte more is 413 with the envelope', async () => {
  const page = await Page.open(service);
  const fits = await post(service, sized(MIB));
  assert.deepEqual([fits.status, fits.body], [200, OK]);
  await fence(service, page);
  assert.equal(page.got('big').length, 1);
  page.close();
  bystander.received.splice(0);
  const wire = new Wire(service.ingest);
  const body = sized(MIB + 1);
  wire.request('POST /push', { ...JSON_TYPE, 'Content-Length': body.length }, body);
  assert.equal(await wire.status(), 413);
  isRefusal(wire);
  wire.destroy();
  await nothingSent();
});

test('--max-body moves the limit', async () => {
  const small = await shared(['--max-body', '2KiB']);
  assert.equal((await post(small, sized(2048))).body, OK);
  assert.equal((await post(small, sized(2049))).status, 413);
});

test('10 MB and more is 413, whether it says its length or not, and is not kept in memory', async () => {
  const before = service.observe().rss;
  const long = new Wire(service.ingest);
  long.request('POST /push', { ...JSON_TYPE, 'Content-Length': 10 * MIB }, sized(10 * MIB));
  assert.equal(await long.status(), 413);
  isRefusal(long);
  long.destroy();

  const told = new Wire(service.ingest);
  told.request('POST /push', { ...JSON_TYPE, 'Content-Length': 10 ** 12 });
  assert.equal(await told.status(), 413, 'before any of the body');
  told.destroy();

  const waits = new Wire(service.ingest);
  waits.request('POST /push', { ...JSON_TYPE, 'Content-Length': 10 * MIB, Expect: '100-continue' });
  assert.equal(await waits.status(), 413);
  assert.doesNotMatch(waits.text, /100 Continue/);
  waits.destroy();

  // A chunked body that does not end: refused when the limit is passed, not when it is over.
  const chunked = new Wire(service.ingest);
  chunked.request('POST /push', { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' });
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  let sent = 0;
  while (!chunked.text && !chunked.ended && sent < 200) {
    chunked.socket.write(chunk);
    sent += 1;
    await sleep(5);
  }
  assert.equal(await chunked.status(), 413);
  assert.ok(sent < 100, `answered after ${sent} chunks of 64 KiB`);
  chunked.destroy();
  await nothingSent();
  assert.ok(service.observe().rss - before < 24 * MIB, 'resident memory');
});

test('chunked bodies under the limit are accepted', async () => {
  const wire = new Wire(service.ingest);
  const body = envelope({ room: 'nobody', event: 'chunked' });
  wire.request('POST /push', { ...JSON_TYPE, 'Transfer-Encoding': 'chunked', Connection: 'close' });
  for (const letter of body) wire.socket.write(`1\r\n${letter}\r\n`);
  wire.socket.write('0\r\n\r\n');
  assert.equal(await wire.status(), 200);
  await wire.closed();
  assert.ok(wire.text.endsWith(OK));
});

test('bodies cut short: nothing sent, connection given back', async () => {
  const body = envelope({ event: 'cut', data: '1' });
  for (const length of [0, 1, body.length - 1]) {
    const wire = new Wire(service.ingest);
    wire.request('POST /push', { ...JSON_TYPE, 'Content-Length': body.length }, body.slice(0, length));
    wire.socket.end();
    const status = await wire.status();
    // Whoever still reads learns that nothing was sent; it never is an ok.
    assert.ok(status === 0 || status === 200 || status === 400, String(status));
    assert.ok(!wire.text.includes('"ok"'), wire.text);
    await wire.closed();
    const gone = new Wire(service.ingest);
    gone.request('POST /push', { ...JSON_TYPE, 'Content-Length': body.length }, body.slice(0, length));
    await sleep(10);
    gone.socket.resetAndDestroy();
  }
  const chunked = new Wire(service.ingest);
  chunked.request('POST /push', { ...JSON_TYPE, 'Transfer-Encoding': 'chunked' }, `${body.length.toString(16)}\r\n${body}\r\n`);
  chunked.socket.end();
  await chunked.closed();
  assert.ok(!chunked.text.includes('"ok"'), 'a chunked body without its end is not whole, even where its JSON is');
  await nothingSent();
});

test('requests that are no HTTP: an answer or an end, and nothing sent', async () => {
  const body = envelope({ event: 'bad', data: '1' });
  const heads = [
    'POST /push HTTP/1.1\r\n\r\n',
    `POST /push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: -1\r\n\r\n${body}`,
    `POST /push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1x\r\n\r\n${body}`,
    `POST /push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n${body}`,
    `POST /push HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${body}`,
    `POST /push HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: nonsense\r\n\r\n${body}`,
    `POST /push HTTP/9.9\r\nHost: x\r\n\r\n`,
    'hello\r\n\r\n',
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `POST /push HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(100_000)}\r\n\r\n`,
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    '\0'.repeat(1000),
  ];
  for (const head of heads) {
    const wire = new Wire(service.ingest);
    wire.socket.write(head, 'latin1');
    wire.socket.end();
    await wire.closed();
    assert.ok(!wire.text.includes('"ok"') && !wire.text.includes('accepted'), `${head.slice(0, 60)}: ${wire.text}`);
  }
  await nothingSent();
});

test('slow bodies: one that trickles is accepted, 100 that stall hold nobody up and are given up', async () => {
  const body = envelope({ room: 'nobody', event: 'slow', data: '1' });
  const stalled = Array.from({ length: 100 }, () => (
    new Wire(service.ingest).request('POST /push', { ...JSON_TYPE, 'Content-Length': body.length }, body.slice(0, 9))));
  const begun = performance.now();
  const trickle = new Wire(service.ingest);
  trickle.request('POST /push', { ...JSON_TYPE, 'Content-Length': body.length });
  for (const letter of body) {
    trickle.socket.write(letter);
    await sleep(10);
  }
  assert.equal(await trickle.status(), 200);
  assert.ok(trickle.text.endsWith(OK));
  trickle.destroy();
  const fast = performance.now();
  for (let i = 0; i < 20; i += 1) await push(service, { room: 'nobody', event: 'fast' });
  assert.ok(performance.now() - fast < 2000, 'others are not held up');
  for (const wire of stalled) await wire.status(20_000);
  assert.ok(performance.now() - begun > 5000, 'a slow backend gets some seconds');
  for (const wire of stalled) {
    assert.ok(!wire.text.includes('"ok"'));
    wire.destroy();
  }
  await nothingSent();
});

test('afterwards the process is the same and its connections are back to the base', async () => {
  assert.ok(service.alive);
  await until(() => service.observe().fds <= base.fds + 8, () => `${service.observe().fds} descriptors, were ${base.fds}`);
  assert.ok(service.observe().threads <= base.threads + 12);
  await fence(service, bystander);
  assert.doesNotMatch(service.log, /panic/);
});
