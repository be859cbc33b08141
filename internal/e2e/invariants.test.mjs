// The contract's invariants 1 to 6.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared, until } from './harness.mjs';
import { CLIENTS, Page, WAYS, fence, kicked, loggedIn, taken, untold } from './pages.mjs';
import { burst, envelope, numbered, push } from './push.mjs';
import { Raw } from './raw.mjs';

const service = await shared(['--allow-eio3']);
const N = 100;

test('of 100 simultaneous First exactly one gets 2002, 99 get 2004', async () => {
  const room = freshRoom();
  const pages = await Promise.all(Array.from({ length: N }, (_, i) => (
    Page.open(service, { client: CLIENTS[i % 3], way: WAYS[i % 7 === 0 ? 1 : 0] }))));
  pages.forEach((page) => page.emit('loginRoom', room));
  const answers = await Promise.all(pages.map((page) => page.told()));
  const admitted = answers.filter((status) => status.code === '2002');
  assert.deepEqual(admitted, [loggedIn(room)]);
  assert.deepEqual(answers.filter((status) => status.code !== '2002'), Array(N - 1).fill(taken(room)));
  await untold(service, ...pages);
  await push(service, { room, event: 'who', data: '1' });
  await fence(service, ...pages);
  pages.forEach((page, i) => assert.equal(page.got('who').length, answers[i].code === '2002' ? 1 : 0));
  pages.forEach((page) => page.close());
});

test('of 100 simultaneous Last exactly one remains, every other got 2002 and then one 2005', async () => {
  const room = freshRoom();
  const pages = await Page.openAll(service, N);
  pages.forEach((page) => page.emit('loginRoom', room, 'loginWhenLast'));
  await until(() => pages.every((page) => page.got('downmsg').length >= 2), 'an answer for each');
  await fence(service, ...pages);
  await push(service, { room, event: 'who', data: '1' });
  await fence(service, ...pages);
  const left = pages.filter((page) => page.got('who').length > 0);
  assert.equal(left.length, 1);
  for (const page of pages) {
    const statuses = page.rest();
    assert.deepEqual(statuses, page === left[0] ? [loggedIn(room)] : [loggedIn(room), kicked(room)]);
  }
  pages.forEach((page) => page.close());
});

test('First and Last and Whenever at once, again and again: at most one holder, nobody told nonsense', async () => {
  const pages = await Page.openAll(service, 12);
  const types = ['loginWhenFirst', 'loginWhenLast', 'loginWhenever'];
  for (let round = 0; round < 20; round += 1) {
    const room = freshRoom();
    pages.forEach((page, i) => page.emit('loginRoom', room, types[(i + round) % 3]));
    const answers = await Promise.all(pages.map((page) => page.told()));
    await push(service, { room, event: room, data: '1' });
    await fence(service, ...pages);
    pages.forEach((page, i) => {
      const later = page.rest();
      const answer = answers[i];
      const inside = page.got(room).length;
      if (answer.code === '2004') assert.deepEqual([later, inside], [[], 0]);
      else if (later.length > 0) assert.deepEqual([answer, later, inside], [loggedIn(room), [kicked(room)], 0]);
      else assert.deepEqual([answer, inside], [loggedIn(room), 1]);
      page.emit('leaveRoom', room);
    });
  }
  pages.forEach((page) => page.close());
});

test('2005 reaches the old member before any room push accepted after the 2002; that push reaches the newcomer only', async () => {
  const room = freshRoom();
  const event = freshRoom('tick');
  let holder = await Raw.open(service);
  await holder.login(room, 'loginWhenLast');
  let going = true;
  let accepted = 0;
  const pushing = (async () => {
    for (; going; accepted += 1) await push(service, { room, event, data: String(accepted) });
  })();
  const ticks = (raw, from = 0) => raw.texts.slice(from).filter((text) => text.startsWith(`42["${event}"`))
    .map((text) => Number(text.slice(`42["${event}",`.length, -1)));
  for (let round = 0; round < 50; round += 1) {
    const newcomer = await Raw.open(service);
    await newcomer.login(room, 'loginWhenLast');
    const after = accepted + 1; // may be on its way: what is posted from now on is after the 2002
    const mark = newcomer.texts.findIndex((text) => text.includes('"2002"'));
    await until(() => ticks(newcomer).some((n) => n >= after), 'a push at the newcomer');
    await until(() => holder.texts.some((text) => text.includes('"2005"')), '2005 at the old member');
    const kick = holder.texts.findIndex((text) => text.includes('"2005"'));
    assert.deepEqual(ticks(holder, kick), [], 'nothing after the 2005');
    const [old, fresh] = [ticks(holder), ticks(newcomer)];
    assert.ok(old.every((n) => n < after), 'the old member gets no push accepted after the 2002');
    assert.deepEqual(ticks(newcomer).length, ticks(newcomer, mark).length, 'nothing of the room before the 2002');
    if (old.length > 0) assert.equal(fresh[0], old.at(-1) + 1, 'no push between the two is lost');
    holder.destroy();
    holder = newcomer;
  }
  going = false;
  await pushing;
});

test('on one connection: 2001, then 2002, then the room\'s events', async () => {
  const room = freshRoom();
  let going = true;
  const pushing = (async () => { while (going) await push(service, { room, event: 'stream', data: '1' }); })();
  for (let round = 0; round < 60; round += 1) {
    const page = new Page(service, { client: CLIENTS[round % 3], way: WAYS[round % 2] });
    page.emit('loginRoom', room, 'loginWhenever');
    await until(() => page.got('stream').length > 0, () => `an event at ${page}`);
    assert.deepEqual(page.received.slice(0, 3).map(([name, status]) => status?.code ?? name), ['2001', '2002', 'stream']);
    page.close();
  }
  going = false;
  await pushing;
});

test('a room without members leaves no state behind', async () => {
  const own = await shared(); // its memory is that of these rooms alone
  const raw = await Raw.open(own, { keep: false });
  const types = ['loginWhenever', 'loginWhenever', 'loginWhenever', 'loginWhenFirst', 'loginWhenLast'];
  const long = 'x'.repeat(200);
  const cycle = async (n) => {
    let left = 0;
    raw.onText = (text) => { if (text.includes('"0000"')) left += 1; };
    for (let i = 0; i < n; i += 1) {
      const room = freshRoom(long);
      raw.send(`42["loginRoom","${room}","${types[i % types.length]}"]`);
      raw.send(`42${i}["leaveRoom","${room}"]`);
      if (i % 500 === 499) await until(() => left > i, () => `${left} of ${i + 1} left`);
    }
    await until(() => left === n, () => `${left} of ${n} left`);
  };
  await cycle(10_000);
  const before = own.observe().rss;
  await cycle(50_000);
  const grown = own.observe().rss - before;
  assert.ok(grown < 8 * 2 ** 20, `resident memory grew by ${Math.round(grown / 1024)} KiB over 50,000 rooms`);
  raw.destroy();
});

test('rooms have their own name space: a socket id as a room gives access to nothing of that client', async () => {
  const [victim, thief] = await Page.openAll(service, 2);
  const secret = freshRoom('secret');
  await victim.login(secret);
  for (const id of [victim.socket.id, `/#${victim.socket.id}`, victim.engine.engine.id]) {
    await thief.login(id, 'loginWhenLast');
    await push(service, { room: id, event: 'to-thief', data: '1' });
  }
  await push(service, { room: secret, event: 'to-victim', data: '1' });
  await untold(service, victim, thief);
  assert.equal(thief.got('to-victim').length, 0);
  assert.equal(victim.got('to-thief').length, 0);
  assert.equal(victim.got('to-victim').length, 1);
});

test('one connection in many rooms: a room push reaches it once, a global push reaches it once', async () => {
  const rooms = Array.from({ length: 50 }, () => freshRoom('many'));
  for (const way of WAYS) {
    const page = await Page.open(service, { way });
    for (const room of rooms) {
      await page.login(room, 'loginWhenever');
      await page.login(room, 'loginWhenever');
    }
    await burst(service, rooms.map((room) => envelope({ room, event: 'each', data: JSON.stringify(room) })));
    await push(service, { event: 'all', data: '1' });
    await fence(service, page);
    assert.deepEqual(page.got('each'), rooms.map((room) => [room]));
    assert.deepEqual(page.got('all'), [[1]]);
    page.close();
  }
});

test('room and global pushes keep one order on every connection', async () => {
  const rooms = [freshRoom(), freshRoom()];
  const page = await Page.open(service);
  for (const room of rooms) await page.login(room);
  const bodies = Array.from({ length: 300 }, (_, n) => (
    numbered(1, { room: [...rooms, undefined][n % 3], event: 'mixed', from: n })[0]));
  await burst(service, bodies);
  await fence(service, page);
  assert.deepEqual(page.got('mixed').map(([n]) => n), Array.from({ length: 300 }, (_, n) => n));
});
