// POST /push: every answer over real HTTP, bytes exact.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared } from './harness.mjs';
import { Page, fence } from './pages.mjs';
import { OK, envelope, post, push, request } from './push.mjs';

const service = await shared();
const bystander = await Page.open(service);
bystander.received.splice(0);

/** Checks that nothing but this file's fences came to the bystander since the last look. */
async function nothingSent() {
  await fence(service, bystander);
  const events = bystander.received.splice(0).map(([name]) => name);
  bystander.unread = 0;
  assert.deepEqual(events.filter((name) => !name.startsWith('fence')), []);
}

const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

function isEnvelope(answer) {
  assert.match(answer.headers['content-type'], /^application\/json/);
  const body = JSON.parse(answer.body);
  assert.deepEqual(Object.keys(body), ['ROOT']);
  assert.deepEqual(Object.keys(body.ROOT), ['BODY']);
  assert.deepEqual(Object.keys(body.ROOT.BODY), ['RETURN_CODE', 'RETURN_MSG']);
  assert.equal(body.ROOT.BODY.RETURN_CODE, '0000');
  return body.ROOT.BODY.RETURN_MSG;
}

test('accepted: 200, the envelope byte for byte, X-Push-Id, X-Push-Result', async () => {
  const forms = [
    '{"ROOT":{"BODY":{"roomId":"nobody","eventName":"test","data":{}}}}',
    '{"roomId":"nobody","eventName":"test","data":{}}',
    '{"ROOT":{"BODY":{"roomId":456,"eventName":"test"}}}',
    ' \n{ "ROOT" : { "BODY" : { "eventName" : "test" , "roomId" : "nobody" , "data" : [ 1 ] } } } \n',
  ];
  for (const body of forms) {
    const answer = await post(service, body);
    assert.equal(answer.status, 200);
    assert.equal(answer.body, OK);
    assert.match(answer.headers['content-type'], /^application\/json/);
    assert.equal(answer.headers['x-push-result'], 'accepted');
    assert.match(answer.headers['x-push-id'], ULID);
  }
  await nothingSent();
});

test('absent and null roomId are global; a number is its decimal string', async () => {
  const page = await Page.open(service);
  await page.login('77', 'loginWhenever');
  await post(service, '{"eventName":"g","data":1}');
  await post(service, '{"ROOT":{"BODY":{"roomId":null,"eventName":"g","data":2}}}');
  await post(service, '{"ROOT":{"BODY":{"roomId":77,"eventName":"g","data":3}}}');
  await post(service, '{"ROOT":{"BODY":{"roomId":"77","eventName":"g","data":4}}}');
  await fence(service, page, bystander);
  assert.deepEqual(page.got('g'), [[1], [2], [3], [4]]);
  assert.deepEqual(bystander.got('g'), [[1], [2]]);
  bystander.received.splice(0);
});

const wrap = (fields) => `{"ROOT":{"BODY":${fields}}}`;
const REJECTED = [
  ['an empty body', ''],
  ['not JSON', 'hello'],
  ['half a JSON', '{"ROOT":{"BODY":{"eventName":"x"'],
  ['JSON and something after', `${wrap('{"eventName":"x"}')}x`],
  ['two values', `${wrap('{"eventName":"x"}')}${wrap('{"eventName":"x"}')}`],
  ['a trailing comma', '{"eventName":"x",}'],
  ['null', 'null'],
  ['an array', '[{"eventName":"x"}]'],
  ['a string', '"eventName"'],
  ['no envelope', '{}'],
  ['ROOT null', '{"ROOT":null}'],
  ['ROOT an array', '{"ROOT":[]}'],
  ['no BODY', '{"ROOT":{}}'],
  ['BODY null', '{"ROOT":{"BODY":null}}'],
  ['BODY a string', '{"ROOT":{"BODY":"{}"}}'],
  ['no eventName', wrap('{"roomId":"1","data":{}}')],
  ['eventName in the wrong case', wrap('{"eventname":"x"}')],
  ['eventName empty', wrap('{"eventName":""}')],
  ['eventName null', wrap('{"eventName":null}')],
  ['eventName a number', wrap('{"eventName":1}')],
  ['eventName an object', wrap('{"eventName":{}}')],
  ...['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']
    .map((name) => [`eventName ${name}`, wrap(`{"eventName":"${name}"}`)]),
  ['eventName reserved, escaped', wrap(String.raw`{"eventName":"\u0063onnect"}`)],
  ['eventName of 257 bytes', wrap(`{"eventName":"${'x'.repeat(257)}"}`)],
  ['roomId empty', wrap('{"roomId":"","eventName":"x"}')],
  ['roomId an object', wrap('{"roomId":{},"eventName":"x"}')],
  ['roomId an array', wrap('{"roomId":["1"],"eventName":"x"}')],
  ['roomId true', wrap('{"roomId":true,"eventName":"x"}')],
  ['roomId of 257 bytes', wrap(`{"roomId":"${'x'.repeat(257)}","eventName":"x"}`)],
  ['roomId with a control character', wrap(String.raw`{"roomId":"a\u0000b","eventName":"x"}`)],
  ['a raw control character in a string', '{"eventName":"a\nb"}'],
  ['invalid UTF-8 in data', Buffer.concat([Buffer.from('{"eventName":"x","data":"'), Buffer.from([0xff, 0xfe]), Buffer.from('"}')])],
  ['invalid UTF-8 in eventName', Buffer.concat([Buffer.from('{"eventName":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])],
  ['a number JSON does not know', wrap('{"eventName":"x","data":NaN}')],
  ['a number with a leading zero', wrap('{"eventName":"x","data":01}')],
  ['depth 100,000', wrap(`{"eventName":"x","data":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)],
];

test('rejected: 200 and 0000 still, RETURN_MSG says what was wrong and that nothing was sent', async (t) => {
  for (const [name, body] of REJECTED) {
    await t.test(name, async () => {
      const answer = await post(service, body);
      assert.equal(answer.status, 200);
      const said = isEnvelope(answer);
      assert.notEqual(said, 'ok');
      assert.match(said, /nothing was sent/);
      assert.equal(answer.headers['x-push-result'], 'rejected');
      assert.equal(answer.headers['x-push-id'], undefined);
    });
  }
  await nothingSent();
});

test('404, 405, 415, each with the envelope as body, and nothing sent', async () => {
  const good = wrap('{"eventName":"x"}');
  const json = { 'Content-Type': 'application/json' };
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await request(`${service.api}/push`, { method, headers: json, body: method === 'GET' ? undefined : good });
    assert.equal(answer.status, 405, method);
    assert.match(answer.headers.allow, /POST/);
    assert.match(isEnvelope(answer), /nothing was sent/);
  }
  // OPTIONS is a question, not a push; its answer must not let a page of a foreign origin push.
  const options = await request(`${service.api}/push`, { method: 'OPTIONS', headers: { Origin: 'https://evil.example.net' } });
  assert.ok([204, 405].includes(options.status), String(options.status));
  assert.match(options.headers.allow, /POST/);
  assert.equal(options.headers['access-control-allow-origin'], undefined);
  for (const path of ['/pus', '/push/', '/push/x', '/PUSH', '//push', '/no/such', '/v2/push']) {
    const answer = await request(`${service.api}${path}`, { method: 'POST', headers: json, body: good });
    assert.equal(answer.status, 404, path);
    isEnvelope(answer);
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x',
    'application/jsonp', 'text/json', 'application/json; charset=latin1', 'garbage', '']) {
    const answer = await post(service, good, { 'Content-Type': type });
    assert.equal(answer.status, 415, type);
    assert.match(isEnvelope(answer), /nothing was sent/);
  }
  const none = await request(`${service.api}/push`, { method: 'POST', body: good });
  assert.equal(none.status, 415);
  const gzip = await post(service, good, { 'Content-Encoding': 'gzip' });
  assert.equal(gzip.status, 415);
  await nothingSent();
});

test('application/json with a charset of UTF-8, in any case, is accepted', async () => {
  for (const type of ['application/json; charset=utf-8', 'Application/JSON', 'application/json;charset=UTF-8']) {
    const answer = await post(service, wrap('{"roomId":"nobody","eventName":"x"}'), { 'Content-Type': type });
    assert.deepEqual([answer.status, answer.body], [200, OK], type);
  }
});

test('Idempotency-Key: accepted once; the repeat answers the same as a duplicate and sends nothing', async () => {
  const room = freshRoom();
  const page = await Page.open(service);
  await page.login(room);
  const key = freshRoom('key');
  const body = envelope({ room, event: 'once', data: '1' });
  const first = await post(service, body, { 'Idempotency-Key': key });
  const again = await post(service, body, { 'Idempotency-Key': key });
  assert.deepEqual([first.body, again.body], [OK, OK]);
  assert.deepEqual([first.headers['x-push-result'], again.headers['x-push-result']], ['accepted', 'duplicate']);
  assert.equal(again.headers['x-push-id'], first.headers['x-push-id']);
  const other = await post(service, body, { 'Idempotency-Key': `${key}-2` });
  assert.equal(other.headers['x-push-result'], 'accepted');
  const many = await Promise.all(Array.from({ length: 20 }, () => post(service, body, { 'Idempotency-Key': `${key}-3` })));
  assert.equal(many.filter((answer) => answer.headers['x-push-result'] === 'accepted').length, 1);
  assert.ok(many.every((answer) => answer.body === OK));
  const elsewhere = await post(service, envelope({ room: freshRoom(), event: 'once', data: '1' }), { 'Idempotency-Key': key });
  assert.equal(elsewhere.headers['x-push-result'], 'accepted', 'a key is scoped by the address');
  await fence(service, page);
  assert.deepEqual(page.got('once'), [[1], [1], [1]]);
});

test('a key is forgotten after --idempotency-window', async () => {
  const quick = await shared(['--idempotency-window', '1s']);
  const body = envelope({ room: 'r', event: 'x' });
  const headers = { 'Idempotency-Key': 'k' };
  const result = async () => (await post(quick, body, headers)).headers['x-push-result'];
  assert.deepEqual([await result(), await result()], ['accepted', 'duplicate']);
  const begun = performance.now();
  while (await result() === 'duplicate') {
    assert.ok(performance.now() - begun < 5000, 'still a duplicate after 5 s');
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
});

test('/healthz and /readyz answer 200, and asking costs no push', async () => {
  for (const path of ['/healthz', '/readyz']) {
    for (let i = 0; i < 50; i += 1) assert.equal((await request(`${service.api}${path}`)).status, 200);
  }
  await nothingSent();
});

test('the two listeners are apart: no push on the public one, no Socket.IO on the ingest one', async () => {
  const good = wrap('{"eventName":"x"}');
  const json = { 'Content-Type': 'application/json' };
  const wrong = await request(`${service.url}/push`, { method: 'POST', headers: json, body: good });
  assert.ok([404, 405].includes(wrong.status), String(wrong.status));
  assert.equal((await request(`${service.api}/socket.io/?EIO=4&transport=polling`)).status, 404);
  await nothingSent();
});

test('no id is given twice', async () => {
  const ids = [];
  for (let i = 0; i < 200; i += 1) ids.push(await push(service, { room: 'nobody', event: 'x' }));
  assert.equal(new Set(ids).size, 200);
});
