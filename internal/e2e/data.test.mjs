// data reaches the socket as it was posted: compared as frame bytes over a bare WebSocket, and parsed in the clients.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { freshRoom, shared, until } from './harness.mjs';
import { CLIENTS, Page, WAYS, fence } from './pages.mjs';
import { envelope, post, push } from './push.mjs';
import { Raw } from './raw.mjs';

const service = await shared(['--allow-eio3']);

// Each is JSON text that a decode and encode would change, or that has broken a server before.
const VALUES = [
  '9007199254740993', '1.0', '1e2', '1E+2', '-0', '-0.0', '0.1', '1e400', '123456789012345678901234567890',
  '{"b":1,"a":2}', '{"a":1,"a":2}', '{"__proto__":{"x":1}}', '{"":0}', '{"constructor":1}',
  String.raw`"\u0041\u00e9\/\b\f"`, String.raw`"\ud83d\ude00"`, String.raw`"\ud800"`, '"😀é\u2028\u2029<>&\'"',
  String.raw`"\"\\"`, '"\u007f"', '""', '[]', '{}', '[[[[]]]]', 'null', 'true', 'false', '0',
  '{"_placeholder":true,"num":0}', '[{"_placeholder":true,"num":5}]', '"42[\\"x\\"]"', '"\u001e"'.replace('\u001e', '\\u001e'),
  '{"ROOT":{"BODY":{"eventName":"inner","roomId":"1"}}}', '{"data":1,"eventName":"x"}',
  `"${'y'.repeat(126)}"`, `"${'y'.repeat(65_536)}"`, `[${'1,'.repeat(5000)}1]`, `${'['.repeat(200)}${']'.repeat(200)}`,
];

// What the contract lets the server escape: the same character, written in the way of a script-safe encoder.
const unescape = (text) => text.replace(/\\u(003c|003e|0026|2028|2029)/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));

const short = (value) => (value.length > 40 ? `${value.slice(0, 30)}… (${value.length})` : value);

test('frame bytes over a websocket, for a room and for all', async (t) => {
  const room = freshRoom();
  const raw = await Raw.open(service);
  await raw.login(room);
  for (const value of VALUES) {
    await t.test(short(value), async () => {
      for (const to of [room, undefined]) {
        await push(service, { room: to, event: 'd', data: value });
        const got = await raw.until((text) => text.startsWith('42["d"'));
        assert.equal(unescape(got), unescape(`42["d",${value}]`));
      }
    });
  }
});

test('the flat body carries data as faithfully', async () => {
  const raw = await Raw.open(service);
  for (const value of VALUES) {
    assert.equal((await post(service, `{"data":${value},"eventName":"f"}`)).headers['x-push-result'], 'accepted');
    assert.equal(unescape(await raw.until((text) => text.startsWith('42["f"'))), unescape(`42["f",${value}]`));
  }
});

test('whitespace between tokens may go, whitespace in strings may not', async () => {
  const raw = await Raw.open(service);
  const page = await Page.open(service);
  await push(service, { event: 'w', data: '\r\n { "a b" :\t[ 1 , 2 ] ,\n"c" : " d  e " } ' });
  const text = await raw.until((frame) => frame.startsWith('42["w"'));
  const squeezed = text.replaceAll(/[ \t\r\n]+(?=(?:[^"]*"[^"]*")*[^"]*$)/g, '');
  assert.equal(squeezed, '42["w",{"a b":[1,2],"c":" d  e "}]');
  await fence(service, page);
  assert.deepEqual(page.got('w'), [[{ 'a b': [1, 2], c: ' d  e ' }]]);
});

test('parsed in each client over each transport', async () => {
  const pages = [];
  for (const client of CLIENTS) {
    for (const way of WAYS) pages.push(await Page.open(service, { client, way }));
  }
  for (const value of VALUES) await push(service, { event: 'd', data: value });
  await fence(service, ...pages);
  const expected = VALUES.map((value) => [JSON.parse(value)]);
  for (const page of pages) {
    assert.deepEqual(page.got('d'), expected);
    page.close();
  }
});

test('event names are free: any text but the reserved names', async () => {
  const names = ['a', 'x'.repeat(256), 'é'.repeat(128), '消息', 'a"b\\c', 'a,b', '[', '42', 'error', 'message', '__proto__', 'loginRoom', 'a b', '<&>', 'toString'];
  const page = await Page.open(service);
  const raw = await Raw.open(service);
  for (const event of names) {
    await push(service, { event, data: '1' });
    const text = await raw.until((frame) => frame.startsWith('42['));
    assert.deepEqual(JSON.parse(text.slice(2)), [event, 1]);
  }
  await fence(service, page);
  for (const event of names) assert.deepEqual(page.got(event), [[1]], event);
});

test('keys of the envelope written with escapes, odd case and extra fields do not confuse it', async () => {
  const raw = await Raw.open(service);
  const accepted = async (body) => {
    const answer = await post(service, body);
    assert.equal(answer.headers['x-push-result'], 'accepted', `${body}: ${answer.body}`);
    return raw.until((text) => text.startsWith('42['));
  };
  assert.equal(await accepted(String.raw`{"ROOT":{"BODY":{"event\u004eame":"k","data":1}}}`), '42["k",1]');
  assert.equal(await accepted('{"ROOT":{"HEAD":{"x":[1]},"BODY":{"more":{"eventName":"no"},"eventName":"k","data":2}},"y":3}'), '42["k",2]');
  assert.equal(await accepted('{"ROOT":{"BODY":{"EVENTNAME":"no","Data":9,"eventName":"k","data":3}}}'), '42["k",3]');
});

test('binary safe: a push never makes a client wait for an attachment', async () => {
  const page = await Page.open(service, { client: CLIENTS[0] });
  await push(service, { event: 'b', data: '{"_placeholder":true,"num":0}' });
  await push(service, { event: 'b', data: '2' });
  await until(() => page.got('b').length === 2, 'both');
});
