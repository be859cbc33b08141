// The real binary as a real process: start it, read where it listens, watch it from outside, stop it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { build } from './build.mjs';

const built = build();
if (Object.keys(built.env).length > 0) {
  Object.assign(process.env, built.env);
  process.on('exit', () => built.remove());
}

/** How long anything may take before a test gives up; generous, since the machine may be busy. */
export const PATIENCE = 15_000;

/** Waits until check() is true or returns something; fails with what() after PATIENCE. */
export async function until(check, what, patience = PATIENCE) {
  for (const end = Date.now() + patience; ;) {
    const got = await check();
    if (got) return got;
    if (Date.now() > end) assert.fail(`gave up waiting: ${typeof what === 'function' ? what() : what}`);
    await sleep(5);
  }
}

const running = new Set();
const leftovers = [];
process.on('exit', () => {
  running.forEach((child) => child.kill('SIGKILL'));
  leftovers.forEach((dir) => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }));
});

/** A directory that is removed when the tests of this file are over. */
export function temporaryDir() {
  const dir = mkdtempSync(path.join(tmpdir(), 'downlink-e2e-'));
  leftovers.push(dir);
  return dir;
}

// The environment without any setting of the product, so that the caller's own does not reach the tests.
function cleanEnv(extra) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('DOWNLINK_'));
  return { ...Object.fromEntries(kept), ...extra };
}

/** Runs the binary to its end and returns its exit code and output; for commands and for starts that must fail. */
export async function run(args, { env = {}, cwd = tmpdir() } = {}) {
  const child = spawn(process.env.DOWNLINK_BIN, args, { env: cleanEnv(env), cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  running.delete(child);
  return { code, signal, stdout, stderr };
}

/** One running service. */
export class Service {
  /** Starts the binary on free ports and waits for its ready lines. */
  static async start(args = [], { dir = temporaryDir(), env = {}, addresses = true } = {}) {
    const own = addresses ? ['--public-addr', '127.0.0.1:0', '--ingest-addr', '127.0.0.1:0'] : [];
    const child = spawn(process.env.DOWNLINK_BIN, [...args, ...own, '--data-dir', dir], {
      env: cleanEnv(env),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    // A test that fails must not keep the runner waiting for a service that nobody stops.
    child.unref();
    child.stderr.unref();
    const service = new Service(child, dir);
    running.add(child);
    child.on('exit', () => running.delete(child));
    await until(() => {
      assert.equal(child.exitCode, null, `the service ended at start:\n${service.log}`);
      service.public ??= service.#ready('public');
      service.ingest ??= service.#ready('ingest');
      return service.public && service.ingest;
    }, () => `ready lines in\n${service.log}`);
    service.url = `http://${service.public}`;
    service.api = `http://${service.ingest}`;
    return service;
  }

  constructor(child, dir) {
    this.child = child;
    this.dir = dir;
    this.pid = child.pid;
    this.log = '';
    this.exited = once(child, 'exit');
    child.stderr.setEncoding('utf8').on('data', (text) => { this.log += text; });
  }

  #ready(listener) {
    const found = this.log.match(new RegExp(`msg="${listener} listener ready" addr=(\\S+)`));
    return found?.[1];
  }

  /** True while the process that was started is the one that runs. */
  get alive() { return this.child.exitCode === null && this.child.signalCode === null; }

  /** Ends the service as an operator would and checks that it went well; returns how long it took in ms. */
  async stop({ signal = 'SIGTERM', patience = PATIENCE } = {}) {
    if (!this.alive && this.child.exitCode === 0) return 0;
    const begun = performance.now();
    assert.ok(this.alive, `the service ended by itself:\n${this.tail}`);
    this.child.ref();
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), patience);
    const [code, killed] = await this.exited;
    clearTimeout(timer);
    assert.equal(killed, null, `the service did not stop in ${patience} ms:\n${this.tail}`);
    assert.equal(code, 0, `exit code after ${signal}:\n${this.tail}`);
    return performance.now() - begun;
  }

  /** Ends the process without a chance to do anything. */
  async kill() {
    this.child.ref();
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** The end of the log, for messages. */
  get tail() { return this.log.slice(-4000); }

  /** What the system says of the process: resident bytes, open descriptors, sockets among them, threads. */
  observe() {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const field = (name) => Number(status.match(new RegExp(`^${name}:\\s+(\\d+)`, 'm'))[1]);
    return { rss: field('VmRSS') * 1024, threads: field('Threads'), fds: readdirSync(`/proc/${this.pid}/fd`).length };
  }
}

// A polling client that left without a word is waited for so long (server/engineio), the rest of a stop takes no time.
const LAST_POLL = 5000;

/**
 * Starts one service for all the tests of a file, or for one test. It must stop well after them, and soon, with hardly a
 * client left.
 */
export async function shared(args = [], options = {}) {
  const service = await Service.start(args, options);
  after(async () => {
    const took = await service.stop({ patience: 30_000 });
    assert.ok(took < LAST_POLL + 2000, `stopped only after ${Math.round(took)} ms:\n${service.tail}`);
  });
  return service;
}

let serial = 0;

/** A room id no other test uses. */
export function freshRoom(name = 'room') { return `${name}-${process.pid}-${serial += 1}`; }
