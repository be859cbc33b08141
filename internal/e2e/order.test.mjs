// Pushes back to back: all of them, in order, once, over every transport and through the upgrade.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared, until } from './harness.mjs';
import { CLIENTS, Page, WAYS, fence } from './pages.mjs';
import { burst, numbered, push, request } from './push.mjs';
import { Raw } from './raw.mjs';

const service = await shared(['--allow-eio3']);
const N = 2000;
const ALL = Array.from({ length: N }, (_, n) => n);

for (const client of CLIENTS) {
  for (const way of WAYS) {
    test(`${N} pushes back to back to a room, ${client.name} over ${way.name}: all, in order`, async () => {
      const room = freshRoom();
      const page = await Page.open(service, { client, way });
      await page.login(room);
      await burst(service, numbered(N, { room, event: 'n' }));
      await fence(service, page);
      assert.deepEqual(page.got('n').map(([n]) => n), ALL);
      page.close();
    });
  }
}

test(`${N} pushes while clients connect and upgrade: each gets every one from its login on, in order`, async () => {
  const room = freshRoom();
  const pages = [];
  let pushed = 0;
  let going = true;
  // Room and global pushes in turn: a page gets the global ones from its 2001 on, the room's from its 2002 on.
  const pushing = (async () => {
    while (going || pushed < N) {
      const bodies = Array.from({ length: 20 }, (_, i) => (
        numbered(1, { room: i % 2 ? room : undefined, event: i % 2 ? 'odd' : 'even', from: pushed + i })[0]));
      await burst(service, bodies);
      pushed += bodies.length;
    }
  })();
  for (let i = 0; i < 30; i += 1) {
    const page = new Page(service, { client: CLIENTS[i % 3], way: WAYS[2] });
    page.heard = { polling: 0, websocket: 0 };
    page.socket.on('even', () => { page.heard[page.transport] += 1; });
    page.emit('loginRoom', room, 'loginWhenever');
    pages.push(page);
    await until(() => page.got('downmsg').length > 1, () => `2002 at ${page}`);
    await until(() => page.transport === 'websocket', 'the upgrade');
  }
  going = false;
  await pushing;
  await fence(service, ...pages);
  const onwards = (first) => Array.from({ length: (pushed - first + 1) >> 1 }, (_, i) => first + 2 * i);
  for (const page of pages) {
    for (const event of ['even', 'odd']) {
      const got = page.got(event).map(([n]) => n);
      assert.ok(got.length > 0);
      assert.deepEqual(got, onwards(got[0]), 'no gap, nothing twice');
    }
    const all = page.received.filter(([name]) => name === 'even' || name === 'odd').map(([, n]) => n);
    assert.deepEqual(all, [...all].sort((a, b) => a - b), 'room and global pushes in one order');
    page.close();
  }
  const both = pages.filter((page) => page.heard.polling > 0 && page.heard.websocket > 0).length;
  assert.ok(both > 0, 'at least one page got pushes both before and after its upgrade');
});

// The same by hand, so that the upgrade is sure to fall into the middle of the pushes.
test(`${N} pushes to a room while the transport upgrades by hand, at every stage of the upgrade`, async () => {
  const room = freshRoom();
  const at = `${service.url}/socket.io/?EIO=4&transport=polling`;
  const opened = JSON.parse((await request(at)).body.slice(1));
  const poll = `${at}&sid=${opened.sid}`;
  const packets = [];
  const send = async (body) => assert.equal((await request(poll, { method: 'POST', body })).status, 200);
  const get = async () => {
    const answer = await request(poll);
    assert.equal(answer.status, 200, answer.body);
    packets.push(...answer.body.split('\x1e'));
    return answer.body;
  };
  await send('40');
  while (!packets.some((text) => text.includes('"2001"'))) await get();
  await send(`42["loginRoom","${room}"]`);
  while (!packets.some((text) => text.includes('"2002"'))) await get();

  const bodies = numbered(N, { room, event: 'n' });
  const part = N / 5;
  const stage = (i) => burst(service, bodies.slice(i * part, (i + 1) * part));
  await stage(0);
  await get();
  const raw = new Raw(service, { query: `EIO=4&transport=websocket&sid=${opened.sid}` });
  const second = stage(1);
  raw.send('2probe');
  await raw.until((text) => text === '3probe');
  await second;
  // The client reads what polling still brings until it gets the noop, then it may pause polling and upgrade.
  const third = stage(2);
  while (!(await get()).split('\x1e').includes('6'));
  const fourth = stage(3);
  raw.send('5');
  await Promise.all([third, fourth]);
  await stage(4);
  await push(service, { room, event: 'end' });
  await raw.until((text) => text.startsWith('42["end"'));
  const numbers = [...packets, ...raw.texts].filter((text) => text.startsWith('42["n",'))
    .map((text) => Number(text.slice('42["n",'.length, -1)));
  assert.deepEqual(numbers, ALL);
  raw.destroy();
});

test('bursts of several backends at once: each one\'s pushes arrive in its order', async () => {
  const room = freshRoom();
  const pages = await Promise.all(WAYS.map((way) => Page.open(service, { way })));
  for (const page of pages) await page.login(room, 'loginWhenever');
  await Promise.all(Array.from({ length: 8 }, (_, i) => burst(service, numbered(250, { room, event: `n${i}` }))));
  await fence(service, ...pages);
  for (const page of pages) {
    for (let i = 0; i < 8; i += 1) assert.deepEqual(page.got(`n${i}`).map(([n]) => n), ALL.slice(0, 250));
    page.close();
  }
});

test('a push of 900 KiB arrives whole between small ones, over every transport', async () => {
  const room = freshRoom();
  const big = 'x'.repeat(900 * 1024);
  const pages = await Promise.all(WAYS.map((way) => Page.open(service, { way })));
  for (const page of pages) await page.login(room, 'loginWhenever');
  await push(service, { room, event: 'size', data: '"small"' });
  await push(service, { room, event: 'size', data: JSON.stringify(big) });
  await push(service, { room, event: 'size', data: '"small again"' });
  await fence(service, ...pages);
  for (const page of pages) assert.deepEqual(page.got('size').map(([text]) => text.length), [5, big.length, 11]);
});
