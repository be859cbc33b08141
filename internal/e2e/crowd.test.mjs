// Many quick clients, and many that come and go: nobody is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { freshRoom, shared, until } from './harness.mjs';
import { Page, fence } from './pages.mjs';
import { push } from './push.mjs';
import { Raw, frame } from './raw.mjs';

const service = await shared();
const QUICK = 10_000;
const AT_ONCE = 100;

// A quick client waits for nothing it does not have to wait for. The three kinds send their packets as early as a
// stock client does, one step earlier, and all in one segment with the request that opens the WebSocket.
const KINDS = [
  (room) => {
    const raw = new Raw(service);
    raw.onText = (text) => {
      if (text.startsWith('0{')) raw.send('40');
      if (text.startsWith('40{')) raw.emit('loginRoom', room);
    };
    return raw;
  },
  (room) => {
    const raw = new Raw(service);
    raw.onText = (text) => {
      if (!text.startsWith('0{')) return;
      raw.send('40');
      raw.emit('loginRoom', room);
    };
    return raw;
  },
  (room) => new Raw(service, { early: Buffer.concat([frame('40'), frame(`42["loginRoom","${room}"]`)]) }),
];

test(`${QUICK} quick clients that connect, log in and are told so at once: none lost`, async () => {
  const bystander = await Page.open(service);
  const base = service.observe();
  let next = 0;
  const wrong = [];
  const worker = async () => {
    while (next < QUICK) {
      const i = next;
      next += 1;
      const room = freshRoom('quick');
      const raw = KINDS[i % KINDS.length](room);
      const own = raw.onText;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, 10_000);
        const done = () => { clearTimeout(timer); resolve(); };
        raw.onText = (text) => {
          own?.(text);
          if (text.includes('"2002"')) done();
        };
        raw.socket.on('close', done);
      });
      const [opened, connected, ...told] = raw.texts;
      const expected = [
        '42["downmsg",{"code":"2001","msg":"connect success"}]',
        `42["downmsg",{"code":"2002","msg":"login room (id:${room}) success"}]`,
      ];
      const good = opened?.startsWith('0{') && connected?.startsWith('40{') && String(told) === String(expected);
      if (!good) wrong.push(`kind ${i % KINDS.length}: ${JSON.stringify(raw.texts)} ${raw.ended}`);
      raw.destroy();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  assert.deepEqual(wrong.slice(0, 3), [], `${wrong.length} of ${QUICK} were not told all`);
  await fence(service, bystander);
  await until(() => service.observe().fds <= base.fds + 2, 'the connections to be given back');
});

test('join and leave racing on rooms with pushes: no member told 2002 misses a push accepted after it', async () => {
  const ROOMS = 8;
  const EACH = 3; // few members, so that the last one often leaves while another joins
  const rooms = Array.from({ length: ROOMS }, () => freshRoom('race'));
  const begun = rooms.map(() => 0); // pushes whose POST was begun, per room
  const lost = [];
  let going = true;
  let rounds = 0;
  const pushing = rooms.map(async (room, r) => {
    while (going) {
      begun[r] += 1;
      await push(service, { room, event: 'n', data: String(begun[r]) });
    }
  });
  const member = async (r) => {
    const raw = await Raw.open(service);
    let waiting = null; // what to do with the next frame that matters
    raw.keep = false;
    raw.onText = (text) => waiting?.(text);
    const leave = () => new Promise((resolve) => {
      waiting = (text) => { if (text.startsWith('431[')) resolve(); };
      raw.send(`421["leaveRoom","${rooms[r]}"]`);
    });
    const stay = () => new Promise((resolve) => {
      let after = 0; // the first push whose POST was begun after the 2002
      let last = 0;
      const timer = setTimeout(() => resolve(`room ${r}: pushes from ${after} on, last got ${last}`), 5000);
      waiting = (text) => {
        if (text.includes('"2002"')) { after = begun[r] + 1; return; }
        if (!text.startsWith('42["n",')) return;
        const n = Number(text.slice('42["n",'.length, -1));
        const gap = (last > 0 && n !== last + 1) || (last === 0 && n > after) || after === 0;
        last = n;
        if (!gap && n < after) return;
        clearTimeout(timer);
        resolve(gap ? `room ${r}: ${n} after ${last}, told before ${after}` : undefined);
      };
      raw.emit('loginRoom', rooms[r], 'loginWhenever');
    });
    while (going) {
      const trouble = await stay();
      if (trouble) lost.push(trouble);
      await leave();
      rounds += 1;
    }
    raw.destroy();
  };
  const members = rooms.flatMap((_, r) => Array.from({ length: EACH }, () => member(r)));
  await sleep(6000);
  going = false;
  // A member may wait for a push when the pushers have ended.
  await Promise.all(pushing);
  let over = false;
  const end = Promise.all(members).then(() => { over = true; });
  while (!over) {
    await Promise.all(rooms.map((room, r) => push(service, { room, event: 'n', data: String(begun[r] += 1) })));
  }
  await end;
  assert.deepEqual(lost.slice(0, 3), [], `${lost.length} of ${rounds} stays went wrong`);
  assert.ok(rounds > 500, `only ${rounds} rounds`);
});
