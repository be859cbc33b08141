// Stored before answered: nothing that was answered ok is lost when the process is killed.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { Service, temporaryDir } from './harness.mjs';
import { Page, fence } from './pages.mjs';
import { OK, envelope, post, push } from './push.mjs';

/** Every push in the store of a data directory nobody has open, in order. */
async function stored(dir) {
  const { stdout } = await promisify(execFile)(process.env.DOWNLINK_STOREDUMP, [dir], { maxBuffer: 2 ** 28 });
  return stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

test('kill -9 under load: every push that was answered ok is in the store after the restart', async () => {
  const dir = temporaryDir();
  const args = ['--history-max', '1000000'];
  const answered = new Map(); // id → data
  for (let round = 0; round < 3; round += 1) {
    const service = await Service.start(args, { dir });
    let going = true;
    const before = answered.size;
    const pushers = Array.from({ length: 16 }, async (_, p) => {
      for (let i = 0; going; i += 1) {
        const data = `"${round}-${p}-${i}"`;
        const room = p % 4 === 0 ? undefined : `room-${p}`;
        const key = i % 3 === 0 ? { 'Idempotency-Key': `${round}-${p}-${i}` } : {};
        const answer = await post(service, envelope({ room, event: 'load', data }), key).catch(() => null);
        if (answer?.body === OK) answered.set(answer.headers['x-push-id'], { data, room });
      }
    });
    await sleep(1500);
    await service.kill();
    going = false;
    await Promise.all(pushers);
    assert.ok(answered.size - before > 200, `only ${answered.size - before} pushes answered`);
  }
  const service = await Service.start(args, { dir });
  const last = await push(service, { room: 'room-1', event: 'load', data: '"last"' });
  await service.stop();

  const found = await stored(dir);
  const byID = new Map(found.map((message) => [message.id, message]));
  const lost = [...answered.keys()].filter((id) => !byID.has(id));
  assert.deepEqual(lost.slice(0, 3), [], `${lost.length} of ${answered.size} answered pushes are not in the store`);
  for (const [id, { data, room }] of answered) {
    const { event, data: kept, room: to } = byID.get(id);
    assert.deepEqual({ event, kept, to }, { event: 'load', kept: data, to: room ?? '' });
  }
  assert.equal(found.at(-1).id, last, 'new pushes are numbered after the old ones');
  assert.deepEqual(found.map((m) => m.seq), [...new Set(found.map((m) => m.seq))].sort((a, b) => a - b));
  assert.equal(byID.size, found.length, 'no push is stored twice');
});

test('--sync always answers ok too, and a graceful stop keeps everything', async () => {
  const dir = temporaryDir();
  const service = await Service.start(['--sync', 'always'], { dir });
  const ids = [];
  for (let i = 0; i < 50; i += 1) ids.push(await push(service, { room: 'r', event: 'x', data: String(i) }));
  await service.stop();
  const found = await stored(dir);
  assert.deepEqual(found.map((m) => m.id), ids);
  assert.deepEqual(found.map((m) => m.data), ids.map((_, i) => String(i)));
});

test('--history-max bounds what is kept per room', async () => {
  const dir = temporaryDir();
  const service = await Service.start(['--history-max', '10'], { dir });
  for (let i = 0; i < 30; i += 1) {
    await push(service, { room: `r${i % 2}`, event: 'x', data: String(i) });
    await push(service, { event: 'x', data: String(i) });
  }
  await service.stop();
  const found = await stored(dir);
  for (const room of ['r0', 'r1', '']) assert.equal(found.filter((m) => m.room === room).length, 10, `room ${room}`);
});

test('an idempotency key still counts after a restart, and after a kill', async () => {
  const dir = temporaryDir();
  const body = envelope({ room: 'r', event: 'x', data: '1' });
  const results = [];
  for (const end of ['kill', 'stop', 'stop']) {
    const service = await Service.start([], { dir });
    const answer = await post(service, body, { 'Idempotency-Key': 'once' });
    assert.equal(answer.body, OK);
    results.push(answer.headers['x-push-result']);
    await service[end]();
  }
  assert.deepEqual(results, ['accepted', 'duplicate', 'duplicate']);
  assert.equal((await stored(dir)).length, 1);
});

test('pushes of before a restart are not sent again to those who connect after it', async () => {
  const dir = temporaryDir();
  const first = await Service.start([], { dir });
  for (let i = 0; i < 20; i += 1) await push(first, { event: 'old', data: String(i) });
  await first.kill();
  const second = await Service.start([], { dir });
  const page = await Page.open(second);
  await fence(second, page);
  assert.deepEqual(page.got('old'), []);
  page.close();
  await second.stop();
});
