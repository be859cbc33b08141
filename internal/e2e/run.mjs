// `npm test`: builds once, then runs Node's test runner over every *.test.mjs here (or those named as arguments), one
// file at a time, since several of them measure time or memory.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { build } from './build.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const named = process.argv.slice(2);
const files = named.filter((arg) => !arg.startsWith('-'));
const options = named.filter((arg) => arg.startsWith('-'));
const all = readdirSync(here).filter((name) => name.endsWith('.test.mjs')).sort();

const built = build();
const runner = spawn(
  process.execPath,
  ['--test', '--test-concurrency=1', ...options, ...(files.length > 0 ? files : all)],
  { cwd: here, stdio: 'inherit', env: { ...process.env, ...built.env } },
);
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => runner.kill(signal));
runner.on('exit', (code) => {
  built.remove();
  process.exitCode = code ?? 1;
});
