// A silent holder must not block its room: it is probed, and replaced when it does not answer. A live one never is.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { freshRoom, shared, until } from './harness.mjs';
import { Page, WAYS, fence, kicked, loggedIn, taken, untold } from './pages.mjs';
import { push } from './push.mjs';
import { Raw, frame } from './raw.mjs';

const service = await shared();
const PROBE = 1000; // ms, the default of --probe-timeout
const MOST = 1200; // ms from the login to 2002, the connection being there

const holders = new Set();
process.on('exit', () => holders.forEach((child) => child.kill('SIGKILL')));

/** A holder in a child process; says() gives the statuses it printed so far. */
async function holder(way, room, type = 'loginWhenFirst') {
  const script = fileURLToPath(new URL('holder.mjs', import.meta.url));
  const child = fork(script, [service.url, way, room, type], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  holders.add(child);
  child.unref(); // a test that fails must not keep the runner waiting for it
  child.channel.unref();
  child.stdout.unref();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  const says = () => text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  await until(() => says().some((status) => status.code === '2002'), 'the holder to be admitted');
  // An upgrade may still be under way: a push goes out on whatever transport is current.
  if (way === 'upgrade') await new Promise((resolve) => { setTimeout(resolve, 200); });
  return { child, says };
}

/** Stops a new holder, logs a newcomer in, lets the holder go on and checks all that was told; returns the time in ms. */
async function replaceStopped(way, type) {
  const room = freshRoom();
  const { child, says } = await holder(way.name, room, type);
  const newcomer = await Page.open(service);
  child.kill('SIGSTOP');
  const begun = performance.now();
  newcomer.emit('loginRoom', room);
  await newcomer.expect(loggedIn(room));
  const took = performance.now() - begun;
  await push(service, { room, event: 'who', data: '1' });
  await fence(service, newcomer);
  assert.deepEqual(newcomer.got('who'), [[1]]);
  child.kill('SIGCONT');
  await until(() => says().length > 2, () => `a word from the one that came back: ${JSON.stringify(says())}`);
  assert.deepEqual(says()[2], kicked(room));
  await untold(service, newcomer);
  newcomer.close();
  child.kill('SIGKILL');
  return took;
}

for (const way of WAYS) {
  for (const type of ['loginWhenFirst', 'loginWhenLast', 'loginWhenever']) {
    test(`a ${type} holder over ${way.name} whose process is stopped is replaced in time, and told 2005 if it comes back`, async () => {
      // A busy machine can only add time, so the quickest of a few tries is what the service takes.
      const times = [];
      do times.push(await replaceStopped(way, type)); while (times.at(-1) > MOST && times.length < 4);
      assert.ok(Math.min(...times) <= MOST, `replaced after ${times.map(Math.round)} ms`);
    });
  }
}

test('a live holder is never replaced, however often and however many ask', async () => {
  for (const way of WAYS) {
    const room = freshRoom();
    const { child, says } = await holder(way.name, room);
    const newcomers = await Page.openAll(service, 20);
    for (let round = 0; round < 10; round += 1) {
      newcomers.forEach((page) => page.emit('loginRoom', room));
      for (const page of newcomers) await page.expect(taken(room));
    }
    await untold(service, ...newcomers);
    assert.equal(says().length, 2, 'the holder was told nothing');
    newcomers.forEach((page) => page.close());
    child.kill('SIGKILL');
  }
});

test('a live holder answers quickly: a refusal does not take the probe\'s time', async () => {
  const room = freshRoom();
  const [holding, newcomer] = await Page.openAll(service, 2);
  await holding.login(room);
  const begun = performance.now();
  for (let i = 0; i < 10; i += 1) await newcomer.login(room, 'loginWhenFirst', taken(room));
  const took = performance.now() - begun;
  assert.ok(took < PROBE, `ten refusals in ${Math.round(took)} ms`);
});

test('two newcomers at once share one probe: exactly one wins', async () => {
  const room = freshRoom();
  const { child } = await holder('websocket', room);
  const newcomers = await Page.openAll(service, 10);
  child.kill('SIGSTOP');
  const begun = performance.now();
  newcomers.forEach((page) => page.emit('loginRoom', room));
  const answers = await Promise.all(newcomers.map((page) => page.told()));
  const took = performance.now() - begun;
  assert.deepEqual(answers.filter((status) => status.code === '2002'), [loggedIn(room)]);
  assert.equal(answers.filter((status) => status.code === '2004').length, 9);
  assert.ok(took <= MOST, `all decided after ${Math.round(took)} ms`);
  child.kill('SIGKILL');
});

test('a silent member does not hide a live one: 2004, and the live one stays', async () => {
  const room = freshRoom();
  const { child } = await holder('websocket', room, 'loginWhenever');
  const [live, newcomer] = await Page.openAll(service, 2);
  await live.login(room, 'loginWhenever');
  child.kill('SIGSTOP');
  await newcomer.login(room, 'loginWhenFirst', taken(room));
  await untold(service, live, newcomer);
  child.kill('SIGKILL');
});

test('while a probe is under way, the newcomer\'s own connection and everybody else go on', async () => {
  const room = freshRoom();
  const { child } = await holder('websocket', room);
  const [newcomer, other] = await Page.openAll(service, 2);
  child.kill('SIGSTOP');
  newcomer.emit('loginRoom', room);
  const begun = performance.now();
  await other.login(freshRoom());
  await fence(service, newcomer, other);
  assert.ok(performance.now() - begun < PROBE / 2, 'others are not held up');
  await newcomer.expect(loggedIn(room));
  child.kill('SIGKILL');
});

test('a half-open connection that sends nothing but was quiet before is replaced too', async () => {
  const room = freshRoom();
  const mute = await Raw.open(service);
  await mute.login(room, 'loginWhenFirst');
  mute.send = () => {};
  const newcomer = await Page.open(service);
  const begun = performance.now();
  newcomer.emit('loginRoom', room);
  await newcomer.expect(loggedIn(room));
  assert.ok(performance.now() - begun >= PROBE * 0.9, 'only after the probe\'s time');
  await mute.until((text) => text.includes('"2005"'));
  mute.socket.write(frame('3'));
  mute.destroy();
});
