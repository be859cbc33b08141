// Which pages may connect from a browser: the same rule for polling and for WebSocket.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { shared, until } from './harness.mjs';
import { Page, WAYS, fence } from './pages.mjs';
import { request } from './push.mjs';
import { Raw } from './raw.mjs';
import { Wire } from './wire.mjs';

const APP = 'https://app.example.com';
const EVIL = 'https://evil.example.net';
const plain = await shared();
const listed = await shared(['--cors-origin', APP]);
const open = await shared(['--cors-origin', '*']);

const poll = (service, origin, options = {}) => request(`${service.url}/socket.io/?EIO=4&transport=polling`, {
  ...options, headers: { Origin: origin, ...options.headers },
});

/** The status of a WebSocket handshake with that origin. */
async function upgrade(service, origin, query = 'EIO=4&transport=websocket') {
  const raw = new Raw(service, { query, headers: { Origin: origin } });
  await until(() => raw.upgraded || raw.ended, 'an answer to the upgrade');
  const status = Number(raw.head.match(/^HTTP\/1\.1 (\d+)/)?.[1] ?? 0);
  raw.destroy();
  return status;
}

const CASES = [
  ['the same origin', plain, `http://${plain.public}`, true],
  ['any loopback origin, by default', plain, 'http://localhost:8080', true],
  ['loopback by IPv6', plain, 'http://[::1]:5173', true],
  ['a foreign origin', plain, EVIL, false],
  ['a name that only looks like loopback', plain, 'http://localhost.evil.example.net', false],
  ['null', plain, 'null', false],
  ['nonsense', plain, 'x', false],
  ['a listed origin', listed, APP, true],
  ['a listed origin, other port', listed, `${APP}:8443`, false],
  ['a listed origin, other scheme', listed, APP.replace('https', 'http'), false],
  ['an origin that is not listed', listed, EVIL, false],
  ['any, with *', open, EVIL, true],
];

for (const [name, service, origin, allowed] of CASES) {
  test(`${name}: ${allowed ? 'allowed' : 'refused'} over polling and over websocket alike`, async () => {
    const answer = await poll(service, origin);
    assert.equal(answer.status, allowed ? 200 : 403, answer.body);
    if (allowed) {
      assert.ok([origin, '*'].includes(answer.headers['access-control-allow-origin']));
    } else {
      assert.equal(JSON.parse(answer.body).code, 4);
      assert.equal(answer.headers['access-control-allow-origin'], undefined);
    }
    assert.equal(await upgrade(service, origin), allowed ? 101 : 403);
  });
}

test('an upgrade of a session asks for the origin again', async () => {
  const { sid } = JSON.parse((await poll(plain, `http://${plain.public}`)).body.slice(1));
  const query = `EIO=4&transport=websocket&sid=${sid}`;
  assert.equal(await upgrade(plain, EVIL, query), 403);
  assert.equal(await upgrade(plain, `http://${plain.public}`, query), 101);
});

test('a preflight is answered for an allowed origin and refused for another', async () => {
  const ask = (origin) => poll(listed, origin, {
    method: 'OPTIONS',
    headers: { 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type' },
  });
  const good = await ask(APP);
  assert.ok([200, 204].includes(good.status), String(good.status));
  assert.equal(good.headers['access-control-allow-origin'], APP);
  assert.match(good.headers['access-control-allow-headers'], /content-type/i);
  assert.equal((await ask(EVIL)).headers['access-control-allow-origin'], undefined);
});

test('a page of an allowed origin works over every transport', async () => {
  for (const way of WAYS) {
    const page = await Page.open(listed, { way, extraHeaders: { Origin: APP } });
    await page.login('456', 'loginWhenever');
    await fence(listed, page);
    page.close();
  }
});

test('a refused origin is logged once, with the flag that would allow it', async () => {
  const origin = 'https://once.example.org';
  for (let i = 0; i < 5; i += 1) await poll(plain, origin);
  await upgrade(plain, origin);
  const lines = plain.log.split('\n').filter((line) => line.includes(origin));
  assert.equal(lines.length, 1, plain.tail);
  assert.match(lines[0], /--cors-origin/);
});

test('a foreign page cannot push to a loopback ingest listener: its preflight is refused', async () => {
  const wire = new Wire(plain.ingest).request('OPTIONS /push', {
    Origin: EVIL, 'Access-Control-Request-Method': 'POST', 'Access-Control-Request-Headers': 'content-type',
  });
  assert.ok(await wire.status() >= 400);
  assert.doesNotMatch(wire.text, /access-control-allow/i);
  wire.destroy();
});
