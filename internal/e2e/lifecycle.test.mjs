// Starting and stopping: ready lines, one address for both listeners, SIGTERM and SIGINT, exit codes.

import assert from 'node:assert/strict';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Service, freshRoom, run, temporaryDir, until } from './harness.mjs';
import { Page, WAYS, fence } from './pages.mjs';
import { OK, envelope, post, push, request } from './push.mjs';
import { Raw } from './raw.mjs';

test('one line per listener when it is ready, and /readyz answers 200 from then on', async () => {
  const service = await Service.start();
  assert.equal((await request(`${service.api}/readyz`)).status, 200);
  for (const listener of ['public', 'ingest']) {
    assert.equal(service.log.match(new RegExp(`msg="${listener} listener ready"`, 'g')).length, 1);
  }
  await service.stop();
});

test('`serve` is the default command; both listeners may be given the same address', async () => {
  const probe = await Service.start();
  const { public: free } = probe;
  await probe.stop();
  for (const command of [[], ['serve']]) {
    const env = { DOWNLINK_PUBLIC_ADDR: free, DOWNLINK_INGEST_ADDR: free };
    const service = await Service.start(command, { addresses: false, env });
    assert.equal(service.public, service.ingest);
    const room = freshRoom();
    const page = await Page.open(service, { way: WAYS[2] });
    await page.login(room);
    await push(service, { room, event: 'same', data: '1' });
    await fence(service, page);
    assert.deepEqual(page.got('same'), [[1]]);
    assert.equal((await request(`${service.api}/healthz`)).status, 200);
    page.close();
    await service.stop();
  }
});

for (const signal of ['SIGTERM', 'SIGINT']) {
  test(`${signal} stops an idle service at once with exit code 0`, async () => {
    const service = await Service.start();
    assert.ok(await service.stop({ signal }) < 3000);
  });
}

test('SIGTERM with clients: intake answers 503 with Retry-After, all are closed, exit 0 within --drain', async () => {
  const service = await Service.start(['--drain', '4s']);
  const pages = [...await Page.openAll(service, 60), ...await Page.openAll(service, 20, { way: WAYS[1] })];
  for (const page of pages) await page.login(freshRoom(), 'loginWhenFirst');
  const mute = await Raw.open(service); // reads nothing, so it cannot be asked to go
  mute.socket.pause();
  let going = true;
  const answers = [];
  const pushing = (async () => {
    while (going) {
      const one = await post(service, envelope({ event: 'late', data: '1' })).catch((error) => error);
      answers.push(one);
      if (one instanceof Error) return;
    }
  })();
  await sleep(100);
  const ready = (async () => {
    const seen = [];
    while (going) {
      const one = await request(`${service.api}/readyz`).catch(() => null);
      if (!one) break;
      seen.push(one.status);
      await sleep(5);
    }
    return seen;
  })();
  const took = await service.stop({ patience: 6000 });
  going = false;
  await pushing;
  assert.ok(took < 4500, `stopped after ${Math.round(took)} ms`);
  await until(() => pages.every((page) => page.socket.disconnected), 'every page to be told');
  const refusals = answers.filter((answer) => answer.status === 503);
  assert.ok(refusals.length > 0, 'a push while draining is answered 503');
  for (const refusal of refusals) {
    assert.match(refusal.headers['retry-after'], /^[1-9]\d*$/);
    const { ROOT } = JSON.parse(refusal.body);
    assert.equal(ROOT.BODY.RETURN_CODE, '0000');
    assert.match(ROOT.BODY.RETURN_MSG, /nothing was sent/);
  }
  assert.ok(answers.every((answer) => answer instanceof Error || answer.status === 503 || answer.body === OK));
  assert.ok((await ready).includes(503), '/readyz says 503 while draining');
  mute.destroy();
});

test('a second signal ends a stop that takes its time at once, with exit code 1', async () => {
  const service = await Service.start();
  // A polling client that does not poll: the stop waits some seconds for it to fetch its close.
  await request(`${service.url}/socket.io/?EIO=4&transport=polling`);
  service.child.ref();
  service.child.kill('SIGTERM');
  await until(() => service.log.includes('msg=stopping'), 'the stop to begin');
  const begun = performance.now();
  service.child.kill('SIGTERM');
  const [code] = await service.exited;
  assert.equal(code, 1);
  assert.ok(performance.now() - begun < 1000);
  assert.match(service.log, /second signal/);
});

/** Checks an ending by its exit code, and that it said why in one line that names the culprit. */
function ended({ code, stderr }, expected, name) {
  assert.equal(code, expected, stderr);
  const lines = stderr.trim().split('\n').filter((line) => !/level=(INFO|WARN)/.test(line));
  assert.equal(lines.length, 1, `one line, got:\n${stderr}`);
  assert.ok(lines[0].includes(name), `${lines[0]} names ${name}`);
}

test('a wrong flag, environment value or file ends with exit code 2 and one line that names it', async () => {
  const dir = temporaryDir();
  const file = (text) => {
    const name = path.join(dir, `settings-${readdirSync(dir).length}.yaml`);
    writeFileSync(name, text);
    return name;
  };
  const data = ['--data-dir', path.join(dir, 'data')];
  for (const command of [[], ['serve'], ['config', 'check']]) {
    ended(await run([...command, ...data, '--no-such-flag']), 2, '--no-such-flag');
    ended(await run([...command, ...data, '--ping-interval', 'soon']), 2, '--ping-interval');
    ended(await run([...command, ...data, '--public-addr', '3000']), 2, '--public-addr');
    ended(await run([...command, ...data], { env: { DOWNLINK_MAX_BODY: 'much' } }), 2, 'DOWNLINK_MAX_BODY');
    ended(await run([...command, ...data, '--config', file('drain: never\n')]), 2, 'drain');
    ended(await run([...command, ...data, '--config', file('no-such-key: 1\n')]), 2, 'no-such-key');
    ended(await run([...command, ...data, '--config', file('drain: [\n')]), 2, 'yaml');
    ended(await run([...command, ...data, '--config', path.join(dir, 'none.yaml')]), 2, 'none.yaml');
  }
  ended(await run(['no-such-command']), 2, 'no-such-command');
  assert.ok(!existsSync(path.join(dir, 'data')), 'nothing was begun');
});

test('config check, version and --help: exit 0, without starting', async () => {
  const dir = path.join(temporaryDir(), 'data');
  const check = await run(['config', 'check', '--data-dir', dir]);
  assert.equal(check.code, 0, check.stderr);
  assert.ok(!existsSync(dir));
  const version = await run(['version']);
  assert.equal(version.code, 0);
  assert.match(version.stdout, /downlink/);
  const help = await run(['--help']);
  assert.equal(help.code, 0);
  for (const text of ['--public-addr', '127.0.0.1:3000', '--ping-interval', '25s', '--client-buffer', '4MiB', '--drain', '30s', '--allow-eio3']) {
    assert.ok(help.stdout.includes(text), `--help says ${text}`);
  }
});

test('a port in use ends with exit code 1 and one line that names it', async () => {
  const service = await Service.start();
  for (const [flag, other] of [['--public-addr', '--ingest-addr'], ['--ingest-addr', '--public-addr']]) {
    const ending = await run(['--data-dir', temporaryDir(), flag, service.public, other, '127.0.0.1:0']);
    ended(ending, 1, service.public);
  }
  await service.stop();
});

test('a data directory in use ends with exit code 1 and one line that names it and the holder', async () => {
  const service = await Service.start();
  const second = await run(['--data-dir', service.dir, '--public-addr', '127.0.0.1:0', '--ingest-addr', '127.0.0.1:0']);
  ended(second, 1, service.dir);
  assert.ok(second.stderr.includes(String(service.pid)), second.stderr);
  await push(service, { event: 'still', data: '1' });
  await service.kill();
  const again = await Service.start([], { dir: service.dir });
  await again.stop();
});

test('a data directory that cannot be written ends with exit code 1 and names it', async () => {
  const file = path.join(temporaryDir(), 'file');
  writeFileSync(file, 'not a directory');
  ended(await run(['--data-dir', file, '--public-addr', '127.0.0.1:0', '--ingest-addr', '127.0.0.1:0']), 1, file);
});

test('flag over environment over file over default', async () => {
  const dir = temporaryDir();
  const config = path.join(dir, 'downlink.yaml');
  writeFileSync(config, 'ping-interval: 7s\nping-timeout: 7s\nmax-frame: 3000\n');
  const service = await Service.start(['--config', config, '--ping-interval', '5s'], {
    env: { DOWNLINK_PING_TIMEOUT: '6s', DOWNLINK_PING_INTERVAL: '6s' },
  });
  const { body } = await request(`${service.url}/socket.io/?EIO=4&transport=polling`);
  const { pingInterval, pingTimeout, maxPayload } = JSON.parse(body.slice(1));
  assert.deepEqual({ pingInterval, pingTimeout, maxPayload }, { pingInterval: 5000, pingTimeout: 6000, maxPayload: 3000 });
  await service.stop();
});

test('a listener that faces other machines is logged as a warning', async () => {
  const service = await Service.start([], {
    addresses: false, env: { DOWNLINK_PUBLIC_ADDR: '127.0.0.1:0', DOWNLINK_INGEST_ADDR: '0.0.0.0:0' },
  });
  assert.match(service.log, /level=WARN.*ingest/);
  await service.stop();
});
