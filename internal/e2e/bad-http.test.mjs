// Bad input on the public listener's HTTP side: handshakes, sids, polling bodies.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared, until } from './harness.mjs';
import { Page, WAYS, fence } from './pages.mjs';
import { push, request } from './push.mjs';
import { Raw, frame } from './raw.mjs';
import { Wire } from './wire.mjs';

const MIB = 2 ** 20;
const service = await shared();
const at = `${service.url}/socket.io/`;
const bystander = await Page.open(service, { way: WAYS[1] });
await fence(service, bystander);
const base = service.observe();

const refused = async (query, options, status = 400) => {
  const answer = await request(`${at}?${query}`, options);
  assert.equal(answer.status, status, `${query}: ${answer.status} ${answer.body}`);
  return answer.body.startsWith('{') ? JSON.parse(answer.body) : answer.body;
};

/** A polling session with the main namespace connected; returns its query. */
async function session() {
  const opened = JSON.parse((await request(`${at}?EIO=4&transport=polling`)).body.slice(1));
  const query = `EIO=4&transport=polling&sid=${opened.sid}`;
  assert.equal((await request(`${at}?${query}`, { method: 'POST', body: '40' })).status, 200);
  const { body } = await request(`${at}?${query}`);
  assert.match(body, /^40\{.*"sid"/);
  return { query, sid: opened.sid, greeting: body };
}

test('handshakes that are none, with Engine.IO\'s error codes', async () => {
  assert.equal((await refused('')).code, 0);
  assert.equal((await refused('EIO=4')).code, 0);
  assert.equal((await refused('EIO=4&transport=carrier-pigeon')).code, 0);
  assert.equal((await refused('EIO=4&transport=polling&sid=unknown')).code, 1);
  assert.equal((await refused(`EIO=4&transport=polling&sid=${'x'.repeat(5000)}`)).code, 1);
  assert.equal((await refused('EIO=4&transport=polling', { method: 'POST', body: '40' })).code, 2);
  assert.equal((await refused('EIO=4&transport=websocket')).code, 3);
  assert.equal((await refused('EIO=99&transport=polling')).code, 5);
  assert.equal((await refused('EIO=&transport=polling')).code, 5);
  await refused('EIO=4&transport=polling&EIO=3', {}, 200).catch(() => {});
  for (const method of ['PUT', 'DELETE', 'PATCH', 'HEAD']) {
    const answer = await request(`${at}?EIO=4&transport=polling`, { method });
    assert.ok(answer.status >= 400 && answer.status < 500, `${method}: ${answer.status}`);
  }
});

test('stolen and unknown sids over a websocket', async () => {
  const { sid } = await session();
  const victim = await Page.open(service);
  const stolen = [`EIO=4&transport=websocket&sid=${victim.engine.engine.id}`, 'EIO=4&transport=websocket&sid=unknown',
    `EIO=3&transport=websocket&sid=${sid}`, 'EIO=4&transport=websocket&sid=..%2f..%00'];
  for (const query of stolen) {
    const raw = new Raw(service, { query, early: Buffer.concat([frame('2probe'), frame('5')]) });
    await raw.closed();
    assert.deepEqual(raw.texts, []);
  }
  await push(service, { event: 'still', data: '1' });
  await fence(service, victim);
  assert.deepEqual(victim.got('still'), [[1]]);
  assert.deepEqual(victim.problems, []);
  // A polling sid whose upgrade somebody begins and leaves: the session goes on over polling.
  const own = await session();
  const thief = new Raw(service, { query: `EIO=4&transport=websocket&sid=${own.sid}` });
  await until(() => thief.upgraded, 'the upgrade');
  thief.destroy();
  assert.equal((await request(`${at}?${own.query}`, { method: 'POST', body: '42["loginRoom","x1"]' })).status, 200);
});

test('upgrade requests with wrong headers', async () => {
  const headers = [
    { Upgrade: 'websocket' }, { Connection: 'Upgrade' },
    { Connection: 'Upgrade', Upgrade: 'websocket' },
    { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '12', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' },
    { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'short' },
    { Connection: 'Upgrade', Upgrade: 'h2c', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==' },
  ];
  for (const one of headers) {
    const wire = new Wire(service.public).request('GET /socket.io/?EIO=4&transport=websocket', one);
    const status = await wire.status();
    assert.ok(status >= 400 && status < 500, `${JSON.stringify(one)}: ${status}`);
    wire.destroy();
  }
});

const PACKETS = ['', 'abc', '9', '4', '42', '431', '451-', '450-', '42["x"', '0', '40{"a', 'b!!!', 'bAQI', '\x1e', '42["x"]\x1e',
  '\x1e42["x"]', '42["x"]\x1e9', '5', '2probe', '{"a":1}', `42["x",${'['.repeat(50_000)}${']'.repeat(50_000)}]`, '4\ud800',
  Buffer.from([0x34, 0x32, 0xff]), Buffer.from([0, 0, 0, 0])];

test('polling bodies that are no packets: 400, that session ends, nobody else notices', async () => {
  for (const body of PACKETS) {
    const { query } = await session();
    const answer = await request(`${at}?${query}`, { method: 'POST', body });
    const name = JSON.stringify(String(body).slice(0, 40));
    assert.ok(answer.status === 400 || answer.status === 200, `${name}: ${answer.status}`);
    const next = await until(async () => {
      const got = await request(`${at}?${query}`);
      return got.status === 400 || got.body.split('\x1e').includes('1') ? got : undefined;
    }, `the end of the session after ${name}`, 3000);
    assert.ok(next);
  }
  await fence(service, bystander);
});

test('polling bodies too large, chunked without end, cut short, slow, compressed', async () => {
  const large = await session();
  const wire = new Wire(service.public);
  wire.request(`POST /socket.io/?${large.query}`, { 'Content-Length': 10 * MIB }, 'x'.repeat(10 * MIB));
  const status = await wire.status();
  assert.ok(status === 413 || status === 0, String(status));
  wire.destroy();
  const chunked = await session();
  const endless = new Wire(service.public);
  endless.request(`POST /socket.io/?${chunked.query}`, { 'Transfer-Encoding': 'chunked' });
  const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`;
  for (let i = 0; i < 200 && !endless.ended && !endless.text; i += 1) {
    endless.socket.write(chunk);
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
  assert.ok([413, 0].includes(await endless.status()));
  endless.destroy();
  const short = await session();
  for (const end of ['end', 'resetAndDestroy']) {
    const cut = new Wire(service.public);
    cut.request(`POST /socket.io/?${short.query}`, { 'Content-Length': 100 }, '42["loginRoom"');
    cut.socket[end]();
    await cut.closed();
  }
  const gzip = await session();
  const answer = await request(`${at}?${gzip.query}`, { method: 'POST', body: Buffer.from([0x1f, 0x8b, 8, 0]), headers: { 'Content-Encoding': 'gzip' } });
  assert.ok(answer.status >= 400 && answer.status < 500, String(answer.status));
  await fence(service, bystander);
});

test('two polls at once end the session, as Engine.IO says; a poll that is given up does not hold it', async () => {
  const { query } = await session();
  const drained = async () => {
    const answers = await Promise.all([request(`${at}?${query}`), request(`${at}?${query}`), request(`${at}?${query}`)]);
    return answers.some((answer) => answer.status === 400);
  };
  assert.ok(await drained());
  const own = await session();
  const room = freshRoom();
  await request(`${at}?${own.query}`, { method: 'POST', body: `42["loginRoom","${room}"]` });
  for (let i = 0; i < 2; i += 1) {
    const wire = new Wire(service.public).request(`GET /socket.io/?${own.query}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    wire.destroy();
  }
  const page = await Page.open(service);
  await until(async () => {
    page.emit('loginRoom', room);
    return (await page.told()).code === '2002';
  }, 'the room of the one that went away');
});

test('other paths: 404, and no file, no method, no header brings the process down', async () => {
  for (const path of ['/socket.io/../../etc/passwd', '/socket.io%00/', '/.git/config', '/push', '/v1/push', '/debug/pprof/', '/metrics']) {
    const answer = await request(`${service.url}${path}`);
    assert.ok([301, 400, 404, 405].includes(answer.status), `${path}: ${answer.status}`);
  }
  for (const junk of ['\0'.repeat(500), 'GET\r\n\r\n', '\x16\x03\x01\x02\x00\x01', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(200_000)}\r\n\r\n`,
    'GET /socket.io/?EIO=4&transport=polling HTTP/1.0\r\n\r\n', 'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /socket.io/?EIO=4;transport=polling&%zz=1 HTTP/1.1\r\nHost: x\r\n\r\n']) {
    const wire = new Wire(service.public);
    wire.socket.write(junk, 'latin1');
    wire.socket.end();
    await wire.closed();
  }
  await fence(service, bystander);
});

test('1,000 handshakes that go no further are given up with the first heartbeat, and everything given back', async () => {
  const quick = await shared(['--ping-interval', '500ms', '--ping-timeout', '500ms']);
  const page = await Page.open(quick);
  const { fds } = quick.observe();
  const raws = Array.from({ length: 500 }, () => new Raw(quick));
  for (const raw of raws) raw.send = () => {};
  const polling = `${quick.url}/socket.io/?EIO=4&transport=polling`;
  const { sid } = JSON.parse((await request(polling)).body.slice(1));
  for (let i = 1; i < 500; i += 1) await request(polling);
  for (const raw of raws) await raw.closed();
  await until(async () => (await request(`${polling}&sid=${sid}`)).status === 400, 'the end of the polling ones');
  await until(() => quick.observe().fds <= fds + 8, () => `${quick.observe().fds} descriptors, were ${fds}`);
  await fence(quick, page);
});

test('afterwards the process is the same and everything it held is given back', async () => {
  await until(() => service.observe().fds <= base.fds + 8, () => `${service.observe().fds} descriptors, were ${base.fds}`);
  const now = service.observe();
  assert.ok(now.threads <= base.threads + 12);
  assert.ok(now.rss <= base.rss + 64 * MIB, `${now.rss} bytes, were ${base.rss}`);
  await fence(service, bystander);
  assert.deepEqual(bystander.problems, []);
  assert.ok(service.alive);
  assert.doesNotMatch(service.log, /panic/);
});
