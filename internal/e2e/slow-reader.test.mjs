// A reader that stops reading: it is closed, memory does not grow with it, nobody else waits for it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared, until } from './harness.mjs';
import { Page, fence } from './pages.mjs';
import { burst, numbered, request } from './push.mjs';
import { Raw } from './raw.mjs';

const MIB = 2 ** 20;
const BUFFER = 4 * MIB; // the default of --client-buffer
// What else may move resident memory: the store's write cache, the garbage collector's headroom over live memory, and
// the system's own socket buffers are not counted as the process's.
const SLACK = 40 * MIB;
const BATCH = 200;
const CLOSED = /level=WARN.*reason="slow reader"/;
const PAD = 'x'.repeat(1010);

const service = await shared();

/** Pushes a batch and returns how long it took until the reader had all of it, in ms. */
async function batch(room, reader, from) {
  const wanted = reader.count + BATCH;
  const begun = performance.now();
  let seen;
  const all = new Promise((resolve) => { seen = resolve; });
  reader.onText = () => { if (reader.count === wanted) seen(performance.now() - begun); };
  await burst(service, numbered(BATCH, { room, event: 'n', from, pad: PAD }));
  const timer = setTimeout(() => seen(NaN), 10_000);
  const took = await all;
  clearTimeout(timer);
  assert.ok(!Number.isNaN(took), `the reader got ${reader.count} of ${wanted}`);
  return took;
}

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * q)];

test('a reader that stops reading while 100,000 pushes of 1 KiB go out is closed; memory and the others\' latency stay', async () => {
  const room = freshRoom();
  const reader = await Raw.open(service);
  await reader.login(room);
  reader.keep = false;
  const slow = await Raw.open(service);
  await slow.login(room);
  slow.keep = false;

  const before = [];
  for (let from = 0; from < 30_000; from += BATCH) before.push(await batch(room, reader, from));
  const base = service.observe().rss;

  slow.socket.pause();
  let most = 0;
  let closedAfter = 0;
  const behind = [];
  for (let from = 0; from < 100_000; from += BATCH) {
    const took = await batch(room, reader, from);
    most = Math.max(most, service.observe().rss);
    if (!closedAfter && CLOSED.test(service.log)) closedAfter = from;
    if (!closedAfter) behind.push(took);
  }
  const grown = most - base;
  assert.ok(closedAfter > 0, 'the one that stopped reading is closed, and the reason logged');
  assert.ok(grown <= BUFFER + SLACK, `resident memory grew by ${(grown / MIB).toFixed(1)} MiB`);
  const ratio = quantile(behind, 0.5) / quantile(before, 0.5);
  assert.ok(behind.length >= 10, `only ${behind.length} batches while it was behind`);
  assert.ok(ratio < 1.6, `the others' median time per batch changed by the factor ${ratio.toFixed(2)}`);
  slow.socket.resume();
  await slow.closed();
  assert.ok(slow.count < 130_000);
  assert.equal(reader.ended, false);
  reader.destroy();
});

test('a poller that stops polling is closed when its queue is full, and the next poll says so', async () => {
  const room = freshRoom();
  const at = `${service.url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await request(at)).body.slice(1));
  const poll = `${at}&sid=${sid}`;
  await request(poll, { method: 'POST', body: '40' });
  await request(poll, { method: 'POST', body: `42["loginRoom","${room}"]` });
  await request(poll);
  const bystander = await Page.open(service);
  const base = service.observe().rss;
  for (let from = 0; from < 10_000; from += 1000) {
    await burst(service, numbered(1000, { room, event: 'n', from, pad: PAD }));
  }
  const grown = service.observe().rss - base;
  assert.ok(grown <= BUFFER + SLACK, `resident memory grew by ${(grown / MIB).toFixed(1)} MiB`);
  const answer = await request(poll);
  assert.equal(answer.status, 400, 'the session is gone');
  await fence(service, bystander);
});

test('--client-buffer bounds the queue, and a page that comes back goes on', async () => {
  const small = await shared(['--client-buffer', '64KiB', '--log-level', 'info']);
  const room = freshRoom();
  const slow = await Raw.open(small);
  await slow.login(room);
  slow.socket.pause();
  const page = await Page.open(small);
  let from = 0;
  // The system's socket buffers take some megabytes before the queue fills.
  await until(async () => {
    await burst(small, numbered(500, { room, event: 'n', from, pad: PAD }));
    from += 500;
    return CLOSED.test(small.log);
  }, 'the slow one to be closed');
  assert.ok(from < 30_000);
  await fence(small, page);
  const again = await Raw.open(small);
  await until(async () => {
    again.emit('loginRoom', room);
    const answer = await again.until((text) => text.includes('"200'));
    return answer.includes('"2002"');
  }, 'the room to be free');
});
