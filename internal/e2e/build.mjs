// Builds the binaries the tests run. With DOWNLINK_BIN set, the product itself is not built but taken from there.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const module = path.resolve(here, '../..');

/** Builds what env does not name yet and returns env's additions, and how to remove what was built. */
export function build(env = process.env) {
  const wanted = { DOWNLINK_BIN: './cmd/downlink', DOWNLINK_STOREDUMP: './internal/e2e/storedump' };
  const missing = Object.keys(wanted).filter((name) => !env[name]);
  if (missing.length === 0) return { env: {}, remove() {} };
  const dir = mkdtempSync(path.join(tmpdir(), 'downlink-e2e-bin-'));
  const built = {};
  for (const name of missing) {
    built[name] = path.join(dir, path.basename(wanted[name]));
    execFileSync('go', ['build', '-o', built[name], wanted[name]], { cwd: module, stdio: 'inherit' });
  }
  return { env: built, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
