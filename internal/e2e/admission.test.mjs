// Every cell of the admission table, with every client library in the newcomer's seat.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared } from './harness.mjs';
import { CLIENTS, Page, WAYS, kicked, loggedIn, taken, untold } from './pages.mjs';
import { push } from './push.mjs';

const FIRST = 'loginWhenFirst';
const LAST = 'loginWhenLast';
const WHENEVER = 'loginWhenever';
const POLICIES = [FIRST, LAST, WHENEVER];

const service = await shared(['--allow-eio3']);

// The ways a room can come to have members. A room with a First or Last holder gets more members by Whenever only.
const COMPANIES = [
  { name: 'one First', types: [FIRST] },
  { name: 'one Last', types: [LAST] },
  { name: 'one Whenever', types: [WHENEVER] },
  { name: 'many Whenever', types: [WHENEVER, WHENEVER, WHENEVER] },
  { name: 'a First and two Whenever', types: [FIRST, WHENEVER, WHENEVER] },
  { name: 'a Last and two Whenever', types: [LAST, WHENEVER, WHENEVER] },
];

let turn = 0;

/** The next client library and transport, so that the table is run over all of them. */
function nextKind() {
  turn += 1;
  return { client: CLIENTS[turn % CLIENTS.length], way: WAYS[Math.floor(turn / CLIENTS.length) % WAYS.length] };
}

async function company(room, types) {
  const members = [];
  for (const type of types) {
    const page = await Page.open(service, nextKind());
    await page.login(room, type);
    members.push(page);
  }
  return members;
}

const closeAll = (pages) => pages.forEach((page) => page.close());

/** Checks who is in a room, by a push to it. */
async function audience(room, inside, outside = []) {
  const event = freshRoom('roll-call');
  await push(service, { room, event, data: '1' });
  await untold(service, ...inside, ...outside);
  assert.deepEqual(inside.map((page) => page.got(event)), inside.map(() => [[1]]), 'each member gets the room push once');
  assert.deepEqual(outside.map((page) => page.got(event)), outside.map(() => []), 'nobody else gets it');
}

for (const client of CLIENTS) {
  for (const type of POLICIES) {
    test(`members before: none, ${type} with ${client.name}: 2002`, async () => {
      const room = freshRoom();
      const page = await Page.open(service, { client });
      await page.login(room, type);
      await audience(room, [page]);
      closeAll([page]);
    });
  }
}

for (const { name, types } of COMPANIES) {
  test(`members before: ${name}, newcomer ${FIRST}: 2004, they stay`, async () => {
    const room = freshRoom();
    const members = await company(room, types);
    const newcomer = await Page.open(service, nextKind());
    await newcomer.login(room, FIRST, taken(room));
    await audience(room, members, [newcomer]);
    closeAll([...members, newcomer]);
  });

  test(`members before: ${name}, newcomer ${LAST}: each gets 2005 once, newcomer 2002 and alone`, async () => {
    const room = freshRoom();
    const members = await company(room, types);
    const newcomer = await Page.open(service, nextKind());
    await newcomer.login(room, LAST);
    for (const member of members) await member.expect(kicked(room));
    await audience(room, [newcomer], members);
    closeAll([...members, newcomer]);
  });

  test(`members before: ${name}, newcomer ${WHENEVER}: 2002, joins them`, async () => {
    const room = freshRoom();
    const members = await company(room, types);
    const newcomer = await Page.open(service, nextKind());
    await newcomer.login(room, WHENEVER);
    await audience(room, [...members, newcomer]);
    closeAll([...members, newcomer]);
  });
}

// The newcomer is already in, with others: it came in by itself, then others joined it.
for (const before of POLICIES) {
  test(`newcomer already in as ${before}, with others, ${FIRST}: 2004, it stays as it was`, async () => {
    const room = freshRoom();
    const [newcomer, ...others] = await company(room, [before, WHENEVER, WHENEVER]);
    await newcomer.login(room, FIRST, taken(room));
    await audience(room, [newcomer, ...others]);
    closeAll([newcomer, ...others]);
  });

  test(`newcomer already in as ${before}, with others, ${LAST}: the others 2005, itself 2002`, async () => {
    const room = freshRoom();
    const [newcomer, ...others] = await company(room, [before, WHENEVER, WHENEVER]);
    await newcomer.login(room, LAST);
    for (const other of others) await other.expect(kicked(room));
    await audience(room, [newcomer], others);
    closeAll([newcomer, ...others]);
  });

  test(`newcomer already in as ${before}, with others, ${WHENEVER}: 2002, nothing changes`, async () => {
    const room = freshRoom();
    const [newcomer, ...others] = await company(room, [before, WHENEVER, WHENEVER]);
    await newcomer.login(room, WHENEVER);
    await audience(room, [newcomer, ...others]);
    const late = await Page.open(service, nextKind());
    await late.login(room, FIRST, taken(room));
    closeAll([newcomer, ...others, late]);
  });

  for (const again of POLICIES) {
    test(`newcomer already in as ${before}, alone, ${again}: 2002`, async () => {
      const room = freshRoom();
      const [newcomer] = await company(room, [before]);
      await newcomer.login(room, again);
      await audience(room, [newcomer]);
      closeAll([newcomer]);
    });
  }
}

/**
 * Logs in with First after the holder's close. The close travels on a connection of its own, so the first try may come
 * before it; but it must neither take a probe's time nor a heartbeat's.
 */
async function loginWhenFree(newcomer, room) {
  const begun = performance.now();
  let answer;
  do {
    newcomer.emit('loginRoom', room, FIRST);
    answer = await newcomer.told();
  } while (answer.code === '2004' && performance.now() - begun < 500);
  assert.deepEqual(answer, loggedIn(room));
}

test('a refused login changes nothing: global pushes keep coming, and it may try again', async () => {
  const room = freshRoom();
  const [holder] = await company(room, [FIRST]);
  const newcomer = await Page.open(service);
  await newcomer.login(room, FIRST, taken(room));
  await untold(service, newcomer);
  holder.close();
  await loginWhenFree(newcomer, room);
  await audience(room, [newcomer]);
});

test('a kick takes the member out of that room only and never closes its connection', async () => {
  const [kept, lost] = [freshRoom('kept'), freshRoom('lost')];
  const member = await Page.open(service);
  await member.login(kept);
  await member.login(lost);
  const newcomer = await Page.open(service);
  await newcomer.login(lost, LAST);
  await member.expect(kicked(lost));
  await audience(kept, [member], [newcomer]);
  await audience(lost, [newcomer], [member]);
  await member.login(lost, LAST, loggedIn(lost));
  await newcomer.expect(kicked(lost));
});

test('close and a lost TCP connection free the room at once', async () => {
  for (const way of WAYS) {
    const room = freshRoom();
    const holder = await Page.open(service, { way });
    await holder.login(room);
    const newcomer = await Page.open(service);
    holder.close();
    await loginWhenFree(newcomer, room);
    newcomer.close();
  }
});
