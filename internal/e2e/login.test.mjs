// loginRoom and leaveRoom: accepted shapes, acks, refusals, statuses byte for byte.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared } from './harness.mjs';
import { CLIENTS, Page, fence, kicked, loggedIn, taken, untold } from './pages.mjs';
import { push } from './push.mjs';
import { Raw } from './raw.mjs';

const service = await shared(['--allow-eio3']);
let number = 4560;

/** Checks that the page, and nobody else, is in the room. */
async function isIn(page, room) {
  await push(service, { room, event: 'in', data: JSON.stringify(room) });
  await fence(service, page);
  assert.deepEqual(page.got('in').at(-1), [room]);
}

const SHAPES = [
  ['(id)', (id) => ['loginRoom', id]],
  ['(id, type)', (id) => ['loginRoom', id, 'loginWhenLast']],
  ['({id})', (id) => ['loginRoom', { id }]],
  ['({roomId})', (id) => ['loginRoom', { roomId: id }]],
  ['({id, type})', (id) => ['loginRoom', { id, type: 'loginWhenever' }]],
  ['({roomId, type})', (id) => ['loginRoom', { roomId: id, type: 'loginWhenFirst' }]],
  ['loginWhenFirst(id)', (id) => ['loginWhenFirst', id]],
  ['loginWhenLast(id)', (id) => ['loginWhenLast', id]],
  ['loginWhenever(id)', (id) => ['loginWhenever', id]],
];

for (const [name, shape] of SHAPES) {
  test(`login shape ${name}: string and number id, with and without ack`, async () => {
    for (const client of CLIENTS) {
      const page = await Page.open(service, { client });
      const room = freshRoom();
      page.emit(...shape(room));
      await page.expect(loggedIn(room));
      await isIn(page, room);

      const id = (number += 1);
      const [ack, ...more] = await page.ask(...shape(id));
      assert.deepEqual(more, [], 'the ack has one argument');
      assert.deepEqual({ code: ack.code, msg: ack.msg }, loggedIn(id));
      await page.expect(loggedIn(id));
      await isIn(page, String(id));
      await untold(service, page);
      page.close();
    }
  });
}

const policyOf = { '(id)': 'First', '({id})': 'First', '({roomId})': 'First', 'loginWhenFirst(id)': 'First' };
for (const [name, shape] of SHAPES) {
  test(`login shape ${name} means its type, loginWhenFirst by default`, async () => {
    const room = freshRoom();
    const [member, newcomer] = await Page.openAll(service, 2);
    await member.login(room, 'loginWhenever');
    newcomer.emit(...shape(room));
    if (policyOf[name] === 'First' || name === '({roomId, type})') {
      await newcomer.expect(taken(room));
    } else {
      await newcomer.expect(loggedIn(room));
      if (name === '(id, type)' || name === 'loginWhenLast(id)') await member.expect(kicked(room));
    }
    await untold(service, member, newcomer);
  });
}

test('an ack carries code and msg, and roomId, epoch, seq', async () => {
  const page = await Page.open(service);
  const room = freshRoom();
  const [ack] = await page.ask('loginRoom', room);
  assert.equal(ack.roomId, room);
  assert.equal(typeof ack.epoch, 'number');
  assert.equal(typeof ack.seq, 'number');
  await page.expect(loggedIn(room));
  const [refused] = await (await Page.open(service)).ask('loginRoom', room);
  assert.deepEqual({ code: refused.code, msg: refused.msg }, taken(room));
});

test('the ack comes after its downmsg', async () => {
  const raw = await Raw.open(service);
  const room = freshRoom();
  raw.send(`421["loginRoom","${room}"]`);
  await raw.until((text) => text.startsWith('431['));
  const at = raw.texts.findIndex((text) => text.startsWith('42["downmsg",{"code":"2002"'));
  assert.ok(at >= 0 && at < raw.texts.findIndex((text) => text.startsWith('431[')), String(raw.texts));
});

test('2001, 2002, 2004 and 2005 byte for byte', async () => {
  const [holder, newcomer] = [await Raw.open(service), await Raw.open(service)];
  assert.equal(holder.texts.at(-1), '42["downmsg",{"code":"2001","msg":"connect success"}]');
  const said = (raw) => raw.until((text) => text.startsWith('42['));
  holder.emit('loginRoom', 456);
  assert.equal(await said(holder), '42["downmsg",{"code":"2002","msg":"login room (id:456) success"}]');
  newcomer.emit('loginRoom', '456');
  assert.equal(await said(newcomer), '42["downmsg",{"code":"2004","msg":"your room id(456) already exist"}]');
  newcomer.emit('loginRoom', '456', 'loginWhenLast');
  assert.equal(await said(newcomer), '42["downmsg",{"code":"2002","msg":"login room (id:456) success"}]');
  assert.equal(await said(holder), '42["downmsg",{"code":"2005","msg":"you have kicked out room (id456)"}]');
});

test('ids at the limits: 1 and 256 bytes, multi-byte, quotes, slashes, wildcards', async () => {
  const ids = ['a', 'x'.repeat(256), 'é'.repeat(128), '房间', '"quoted"\\', '*', '>', 'a.b', '<&>', ' ', '\u2028', '__proto__'];
  const page = await Page.open(service);
  for (const id of ids) {
    await page.login(id, 'loginWhenever');
    await isIn(page, id);
  }
});

const REFUSED = [
  ['no argument', []],
  ['null', [null]],
  ['true', [true]],
  ['an empty string', ['']],
  ['an empty object', [{}]],
  ['an object with a null id', [{ id: null }]],
  ['an object with an object id', [{ id: {} }]],
  ['an array', [['456']]],
  ['a nested array', [[[]]]],
  ['a 257-byte id', ['x'.repeat(257)]],
  ['a 300-byte id', ['x'.repeat(300)]],
  ['a 258-byte id of 129 letters', ['é'.repeat(129)]],
  ['a control character', ['a\u0000b']],
  ['a line feed', ['a\nb']],
  ['a delete character', ['a\u007fb']],
  ['an unknown type', ['456', 'loginWhenEver']],
  ['an empty type', ['456', '']],
  ['a number as type', ['456', 1]],
  ['an object as type', ['456', {}]],
  ['an unknown type in the object', [{ id: '456', type: 'x' }]],
  ['three arguments', ['456', 'loginWhenFirst', 'more']],
  ['a fraction', [1.5]],
];

test('a login that cannot be understood: 2003 with the reason, and nothing changes', async (t) => {
  const bystander = await Page.open(service);
  for (const [name, args] of REFUSED) {
    await t.test(name, async () => {
      const page = await Page.open(service);
      page.emit('loginRoom', ...args);
      const status = await page.told();
      assert.deepEqual(Object.keys(status).sort(), ['code', 'msg']);
      assert.equal(status.code, '2003', JSON.stringify(status));
      assert.match(status.msg, /^[a-z].{8,}[^.]$/i, 'plain words');
      const [ack] = await page.ask('loginRoom', ...args);
      assert.deepEqual({ code: ack.code, msg: ack.msg }, status);
      await page.expect(status);
      const room = freshRoom();
      await page.login(room);
      await untold(service, page, bystander);
      page.close();
    });
  }
});

test('leaveRoom: no more pushes of the room, the room is free, an ack says ok; not being in is fine', async () => {
  for (const client of CLIENTS) {
    const room = freshRoom();
    const page = await Page.open(service, { client });
    await page.login(room);
    const [ack] = await page.ask('leaveRoom', room);
    assert.deepEqual({ code: ack.code, msg: ack.msg }, { code: '0000', msg: 'ok' });
    await push(service, { room, event: 'gone', data: '1' });
    await untold(service, page);
    assert.deepEqual(page.got('gone'), []);
    const next = await Page.open(service);
    await next.login(room);
    const [again] = await page.ask('leaveRoom', room);
    assert.equal(again.code, '0000');
    const [never] = await page.ask('leaveRoom', freshRoom('never'));
    assert.equal(never.code, '0000');
    await isIn(next, room);
    page.close();
    next.close();
  }
});

test('leaveRoom without an ack, with a number, and with nonsense', async () => {
  const page = await Page.open(service);
  const id = (number += 1);
  await page.login(id);
  page.emit('leaveRoom', id);
  await push(service, { room: String(id), event: 'gone', data: '1' });
  await untold(service, page);
  assert.deepEqual(page.got('gone'), []);
  page.emit('leaveRoom');
  assert.equal((await page.told()).code, '2003');
  page.emit('leaveRoom', null);
  assert.equal((await page.told()).code, '2003');
  await page.login(id);
});

test('events nobody handles are ignored', async () => {
  const page = await Page.open(service);
  page.emit('no-such-event', 1, { a: 2 });
  page.emit('push', { eventName: 'x' });
  await page.login(freshRoom());
  await untold(service, page);
});
