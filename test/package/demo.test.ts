import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'strongroom-demo-test-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function demo(...args: string[]): { status: number | null; output: string } {
  const { OPENAI_API_KEY: _key, ...environment } = process.env;
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [
      '--conditions=strongroom-source',
      '--disable-warning=ExperimentalWarning',
      'examples/demo/main.ts',
      ...args,
    ],
    { env: { ...environment, TMPDIR: folder, NO_COLOR: '1' }, encoding: 'utf8', timeout: 120_000 },
  );
  return { status, output: stdout + stderr };
}

describe('npm run demo', () => {
  it(
    'shows a conversation over two processes and every attack on its file refused, in a new temporary folder',
    { timeout: 120_000 },
    () => {
      const { status, output } = demo();
      expect(output).not.toContain('✗');
      expect(status).toBe(0);
      for (const shown of [
        'the run waits for a person',
        'Welcome back, Ada. Ticket T-1042: 84 euros were paid back yesterday.',
        'I have no ticket of yours, Bo.',
        'ERR_KEY_UNKNOWN',
        'ERR_AUTHENTICATION',
        'ERR_COMMITMENT',
        'ERR_NOT_SEALED',
        '31 days later',
      ]) {
        expect(output).toContain(shown);
      }

      const told = /The files are in (?<path>\S+)/.exec(output)?.groups?.['path'] as string;
      expect(told.startsWith(folder)).toBe(true);
      expect(readdirSync(told)).toContain('conversations.db');
    },
  );
});

const RECORDED = '../shared/data/conversations.jsonl';

describe('npm run demo -- --replay', () => {
  it('refuses a file that is not there, by name', () => {
    const { status, output } = demo('--replay', 'nowhere.jsonl');
    expect(status).not.toBe(0);
    expect(output).toContain('nowhere.jsonl does not exist');
  });

  it(
    'reads recorded conversations back equal, within the size limits, unreadable in the file',
    { timeout: 120_000 },
    () => {
      if (!existsSync(RECORDED)) {
        if (process.env['CI']) throw new Error('The recorded conversations are missing.');
        console.warn(`SKIPPED: ${RECORDED} is not here.`);
        return;
      }
      const { status, output } = demo('--replay', RECORDED);
      expect(output).not.toContain('✗');
      expect(status).toBe(0);
      expect(output).toMatch(/100 of 100 came back equal, item for item/);
      expect(output).toMatch(/EMAIL_ADDRESS +\d+ redactions/);
    },
  );
});
