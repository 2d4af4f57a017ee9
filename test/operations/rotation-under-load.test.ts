import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { JWK } from 'jose';
import { afterAll, expect, it } from 'vitest';
import { generateKey } from '../../src/keys/generate-key.ts';
import { reencrypt, rewrap, sqliteDekStore } from '../../src/operations/index.ts';
import { keyring } from '../../src/keys/keyring.ts';
import { encrypt } from '../../src/layers/encrypt.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { wrapStore } from '../../src/wrap-store.ts';
import { rounds } from '../support/soak.ts';

const KILLS = rounds(2, 30);
/** Items acknowledged from one kill to the next. */
const ITEMS_A_KILL = rounds(5, 60);
// Data keys stay opened for a tenth of a second in the workers; the rest is for a call that waits for its turn.
const GRACE = '3s';
const WORKER = join(import.meta.dirname, 'rotation-worker.ts');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-rotation-'));
afterAll(() => rm(folder, { recursive: true }));

interface Worker {
  readonly role: string;
  readonly process: ChildProcess;
  readonly exited: Promise<unknown>;
}

it(
  'loses and duplicates nothing while keys rotate, everything is sealed again, and processes are killed at random',
  { timeout: rounds(120_000, 600_000) },
  async () => {
    const first = await generateKey();
    writeFileSync(join(folder, 'keys.json'), JSON.stringify({ keys: [first], current: first.kid }));
    const acknowledged: { id: string; text: string }[] = [];
    const errors: string[] = [];
    let started = 0;
    const done = { rewrapped: 0, destroyed: 0, read: 0 };
    const start = (role: string): Worker => {
      const name = `${role}-${started++}`;
      const child = spawn(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', WORKER, role, folder, name, GRACE],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const match = /^\+ (\S+) (.+)$/.exec(line);
          if (match !== null) acknowledged.push({ id: match[1] as string, text: match[2] as string });
          const [what, count] = line.split(' ');
          if (what === 'rewrapped' || what === 'destroyed' || what === 'read') done[what] += Number(count);
        }
      });
      child.stderr.setEncoding('utf8').on('data', (chunk: string) => errors.push(chunk));
      return { role, process: child, exited: new Promise((resolve) => child.once('close', resolve)) };
    };

    const workers = ['write', 'write', 'read', 'rotate', 'reencrypt'].map(start);
    // Ends at the first error, too: the test then says which.
    const until = async (reached: () => boolean): Promise<void> => {
      while (!reached() && errors.length === 0) await delay(20);
    };
    try {
      for (let kills = 1; kills <= KILLS; kills++) {
        await until(() => acknowledged.length >= kills * ITEMS_A_KILL);
        const index = Math.floor(Math.random() * workers.length);
        const victim = workers[index] as Worker;
        victim.process.kill('SIGKILL');
        await victim.exited;
        workers[index] = start(victim.role);
      }
      await until(() => acknowledged.length >= 30 && Object.values(done).every((count) => count > 0));
    } finally {
      for (const worker of workers) worker.process.kill('SIGKILL');
      await Promise.all(workers.map(async (worker) => worker.exited));
    }
    expect(errors).toEqual([]);

    // What the last run left behind is finished by another one, and then the current key alone opens everything.
    const file = JSON.parse(readFileSync(join(folder, 'keys.json'), 'utf8')) as {
      keys: JWK[];
      current: string;
    };
    const current = file.keys.find((key) => key.kid === file.current) as JWK;
    await using dekStore = sqliteDekStore(join(folder, 'deks.db'));
    const all = keyring({ current, previous: file.keys.filter((key) => key.kid !== file.current) });
    expect((await rewrap(dekStore, { keys: all })).failures).toEqual([]);
    const store = wrapStore(openSqlite(join(folder, 'items.db')), [
      encrypt({ keys: keyring({ current }), dekStore }),
    ]);
    const before: string[] = [];
    for await (const { did } of dekStore.list()) before.push(did);
    expect(new Set((await reencrypt(store, { grace: 0 })).destroyed)).toEqual(new Set(before));
    for (const id of ['session-0', 'session-1', 'session-2']) {
      const texts = (await store.session(id).getItems()).map((item) => (item as { content: string }).content);
      expect(new Set(texts).size).toBe(texts.length);
      const missing = acknowledged.filter((entry) => entry.id === id && !texts.includes(entry.text));
      expect(missing).toEqual([]);
    }
    await store.close();
    console.log(
      `${KILLS} processes killed; ${acknowledged.length} items acknowledged, ${done.read} read, ` +
        `${done.rewrapped} data keys wrapped anew, ${done.destroyed} replaced and destroyed`,
    );
  },
);
