// Connecting and receiving, with each client over each transport. Seed 003: a page that never logged in gets global
// events, after a login it gets global and room events.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared, until } from './harness.mjs';
import { CLIENTS, CONNECTED, Page, WAYS, fence, loggedIn } from './pages.mjs';
import { push, request } from './push.mjs';
import { Raw } from './raw.mjs';

const service = await shared(['--allow-eio3']);
const strict = await shared();

for (const client of CLIENTS) {
  for (const way of WAYS) {
    test(`${client.name} over ${way.name}: 2001 first, then 2002, then the room's events`, async () => {
      const room = freshRoom();
      const page = new Page(service, { client, way });
      page.emit('loginRoom', room);
      await until(() => page.got('downmsg').length > 1, () => `2002 at ${page}`);
      await push(service, { room, event: 'test', data: '{"a":1}' });
      await fence(service, page);
      assert.deepEqual(page.received.slice(0, 3), [
        ['downmsg', CONNECTED], ['downmsg', loggedIn(room)], ['test', { a: 1 }],
      ]);
      if (way.name === 'upgrade') await until(() => page.transport === 'websocket', 'the upgrade');
      else assert.equal(page.transport, way.name);
      page.close();
    });

    test(`${client.name} over ${way.name}: listen gets global events, after a login global and room events`, async () => {
      const room = freshRoom();
      const page = await Page.open(service, { client, way });
      const heard = [];
      page.socket.on('test', (...args) => heard.push(args));
      await push(service, { event: 'test', data: '"global"' });
      await push(service, { room, event: 'test', data: '"before the login"' });
      await fence(service, page);
      assert.deepEqual(heard, [['global']]);
      await page.login(room);
      await push(service, { room, event: 'test', data: '"room"' });
      await push(service, { event: 'test', data: '"global again"' });
      await push(service, { room: freshRoom('other'), event: 'test', data: '"another room"' });
      await push(service, { room, event: 'other', data: '"another event"' });
      await fence(service, page);
      assert.deepEqual(heard, [['global'], ['room'], ['global again']]);
      page.close();
    });
  }
}

test('2001 comes once per connection and before anything else, while pushes go on', async () => {
  let going = true;
  const pushing = (async () => { while (going) await push(service, { event: 'noise', data: '0' }); })();
  for (let round = 0; round < 20; round += 1) {
    const pages = await Page.openAll(service, 5, { way: WAYS[round % WAYS.length] });
    await fence(service, ...pages);
    for (const page of pages) {
      assert.deepEqual(page.received[0], ['downmsg', CONNECTED]);
      assert.equal(page.got('downmsg').length, 1);
      page.close();
    }
  }
  going = false;
  await pushing;
});

test('a push without data has null as its argument', async () => {
  const page = await Page.open(service);
  await push(service, { event: 'empty' });
  await fence(service, page);
  assert.deepEqual(page.got('empty'), [[null]]);
});

test('downmsg may be pushed', async () => {
  const page = await Page.open(service);
  await push(service, { event: 'downmsg', data: '"hello"' });
  await fence(service, page);
  assert.deepEqual(page.got('downmsg'), [[CONNECTED], ['hello']]);
});

test('a closed page gets a new 2001 when it connects again', async () => {
  const page = await Page.open(service);
  page.socket.disconnect();
  page.socket.connect();
  await page.expect(CONNECTED);
});

test('socket.io-client 2.5.0 is refused without --allow-eio3, and disturbs nobody', async () => {
  const bystander = await Page.open(strict);
  for (const way of WAYS) {
    const page = new Page(strict, { client: CLIENTS[2], way });
    await until(() => page.problems.length > 0, 'the refusal');
    assert.deepEqual(page.received, []);
    page.close();
  }
  const answer = await request(`${strict.url}/socket.io/?EIO=3&transport=polling`);
  assert.equal(answer.status, 400);
  assert.equal(JSON.parse(answer.body).code, 5);
  await fence(strict, bystander);
});

test('a heartbeat keeps a quiet connection, and a client that stops answering is closed', async () => {
  const quick = await shared(['--ping-interval', '300ms', '--ping-timeout', '300ms']);
  const page = await Page.open(quick);
  const polling = await Page.open(quick, { way: WAYS[1] });
  const mute = await Raw.open(quick);
  mute.send = () => {};
  const begun = performance.now();
  await mute.closed();
  assert.ok(performance.now() - begun < 2000, 'the mute one is closed soon after interval + timeout');
  await fence(quick, page, polling);
  assert.deepEqual([page.problems, polling.problems], [[], []]);
});
