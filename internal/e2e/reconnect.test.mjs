// Coming back: login intent, own ghost, epochs, and what a restart of the process keeps.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Service, freshRoom, shared, temporaryDir, until } from './harness.mjs';
import { CONNECTED, Page, WAYS, kicked, loggedIn, taken, untold } from './pages.mjs';
import { push } from './push.mjs';

const service = await shared();
const LAST = 'loginWhenLast';

async function epochOf(page, ...args) {
  const [ack] = await page.ask(...args);
  assert.equal(ack.code, '2002', JSON.stringify(ack));
  assert.deepEqual(page.rest().at(-1), loggedIn(ack.roomId));
  return ack.epoch;
}

test('resume:true into a free room: 2002', async () => {
  for (const type of ['loginWhenFirst', LAST, 'loginWhenever']) {
    const page = await Page.open(service);
    const id = freshRoom();
    page.emit('loginRoom', { id, type, resume: true, epoch: 1 });
    await page.expect(loggedIn(id));
    const other = await Page.open(service);
    await other.login(id, 'loginWhenFirst', taken(id));
  }
});

test('resume:true never evicts: somebody newer holds the room, so 2005 and nothing changes', async () => {
  for (const held of ['loginWhenFirst', LAST]) {
    for (const type of ['loginWhenFirst', LAST, 'loginWhenever']) {
      const id = freshRoom();
      const [old, newer] = await Page.openAll(service, 2);
      const epoch = await epochOf(old, 'loginRoom', id, LAST);
      old.socket.disconnect();
      await until(() => old.socket.disconnected, 'the disconnect');
      await until(async () => {
        newer.emit('loginRoom', id, held);
        return (await newer.told()).code === '2002';
      }, 'the room to be free');
      old.socket.connect();
      await old.expect(CONNECTED);
      const [ack] = await old.ask('loginRoom', { id, type, resume: true, epoch });
      assert.deepEqual({ code: ack.code, msg: ack.msg }, kicked(id));
      await old.expect(kicked(id));
      await push(service, { room: id, event: 'who', data: '1' });
      await untold(service, old, newer);
      assert.deepEqual([old.got('who').length, newer.got('who').length], [0, 1]);
      old.close();
      newer.close();
    }
  }
});

test('two pages with Last do not kick each other for ever when both log in again by intent', async () => {
  const id = freshRoom();
  const [one, two] = await Page.openAll(service, 2);
  await one.login(id, LAST);
  await two.login(id, LAST);
  await one.expect(kicked(id));
  one.emit('loginRoom', { id, type: LAST, resume: true });
  await one.expect(kicked(id));
  two.emit('loginRoom', { id, type: LAST, resume: true });
  await two.expect(loggedIn(id));
  await untold(service, one, two);
});

test('resume:true into a room with Whenever members only joins them', async () => {
  const id = freshRoom();
  const [member, page] = await Page.openAll(service, 2);
  await member.login(id, 'loginWhenever');
  page.emit('loginRoom', { id, type: LAST, resume: true });
  await page.expect(loggedIn(id));
  await push(service, { room: id, event: 'who', data: '1' });
  await untold(service, member, page);
  assert.deepEqual([member.got('who').length, page.got('who').length], [1, 1]);
});

for (const type of ['loginWhenFirst', LAST]) {
  for (const way of WAYS) {
    test(`own ghost: the same clientKey takes its own room over silently, ${type} over ${way.name}`, async () => {
      const id = freshRoom();
      const auth = { clientKey: freshRoom('key') };
      const ghost = await Page.open(service, { way, auth });
      await ghost.login(id, type);
      const page = await Page.open(service, { way, auth });
      await page.login(id, type);
      await push(service, { room: id, event: 'who', data: '1' });
      await untold(service, page, ghost);
      assert.deepEqual([ghost.got('who').length, page.got('who').length], [0, 1]);
    });
  }
}

test('another clientKey, an empty one or none is nobody\'s ghost', async () => {
  const id = freshRoom();
  const holder = await Page.open(service, { auth: { clientKey: 'mine' } });
  await holder.login(id);
  for (const auth of [{ clientKey: 'other' }, { clientKey: '' }, {}, undefined, { clientKey: 5 }]) {
    const page = await Page.open(service, { auth });
    await page.login(id, 'loginWhenFirst', taken(id));
  }
  const nothing = freshRoom();
  const empty = await Page.openAll(service, 2, { auth: { clientKey: '' } });
  await empty[0].login(nothing);
  await empty[1].login(nothing, 'loginWhenFirst', taken(nothing));
});

test('a resumed login with the same clientKey gets its room back from its ghost', async () => {
  const id = freshRoom();
  const auth = { clientKey: freshRoom('key') };
  const ghost = await Page.open(service, { auth });
  const epoch = await epochOf(ghost, 'loginRoom', id, LAST);
  const page = await Page.open(service, { auth });
  assert.ok(await epochOf(page, 'loginRoom', { id, type: LAST, resume: true, epoch }) > epoch);
  await untold(service, ghost, page);
});

test('epochs rise with each First or Last login, over leaving, other holders and a restart of the process', async () => {
  const dir = temporaryDir();
  const id = freshRoom();
  const epochs = [];
  for (let start = 0; start < 3; start += 1) {
    const own = await Service.start([], { dir });
    const [one, two] = await Page.openAll(own, 2);
    epochs.push(await epochOf(one, 'loginRoom', id));
    await one.ask('leaveRoom', id);
    epochs.push(await epochOf(two, 'loginRoom', id));
    epochs.push(await epochOf(one, 'loginRoom', id, LAST));
    epochs.push(await epochOf(one, 'loginRoom', id, LAST));
    epochs.push(await epochOf(two, 'loginRoom', id, LAST));
    // A crash must not give a number twice either.
    if (start === 1) await own.kill();
    else await own.stop();
  }
  assert.deepEqual(epochs, [...new Set(epochs)].sort((a, b) => a - b), 'rising, none twice');
});

test('a restart leaves no room held by those of before', async () => {
  const dir = temporaryDir();
  const id = freshRoom();
  for (const end of ['kill', 'stop']) {
    const own = await Service.start([], { dir });
    const page = await Page.open(own);
    await page.login(id);
    await own[end]();
  }
  const own = await Service.start([], { dir });
  const page = await Page.open(own);
  await page.login(id);
  await own.stop();
});

test('a reconnecting page is told 2001 again after a restart, and may log in again', async () => {
  const dir = temporaryDir();
  const first = await Service.start([], { dir });
  const id = freshRoom();
  const page = await Page.open(first, { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 100 });
  await page.login(id);
  await first.kill();
  const fixed = ['--public-addr', first.public, '--ingest-addr', first.ingest];
  const second = await Service.start(fixed, { dir, addresses: false });
  await page.expect(CONNECTED);
  await page.login(id);
  await push(second, { room: id, event: 'back', data: '1' });
  await until(() => page.got('back').length === 1, 'the push');
  page.close();
  await second.stop();
});
