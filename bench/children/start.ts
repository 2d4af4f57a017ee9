// Prints what a new process takes, in microseconds: node bench/children/start.ts CANDIDATE FOLDER WORK
// FOLDER is one that groups/start.ts has filled. It imports what users import.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { turnsOf } from '../items.ts';
import type { SessionByHand } from '../sessions-by-hand.ts';

const [, , candidate, folder = '', work = ''] = process.argv;

async function open(): Promise<(id: string) => SessionByHand> {
  if (candidate === 'by hand') {
    const { handWrittenSqlite } = await import('../sessions-by-hand.ts');
    return handWrittenSqlite(join(folder, 'by-hand.db')).session;
  }
  const { openSqlite } = await import('strongroom/sqlite');
  if (candidate === 'our store, bare') {
    const store = openSqlite(join(folder, 'bare.db'));
    return (id) => store.session(id);
  }
  const { cache, encrypt, expire, keyring, redact, wrapStore } = await import('strongroom');
  const key = JSON.parse(readFileSync(join(folder, 'key.json'), 'utf8')) as Parameters<
    typeof keyring
  >[0]['current'];
  const sessions = wrapStore(openSqlite(join(folder, 'full.db')), [
    redact(),
    expire({ after: '30d' }),
    cache({ maxItems: 1_000_000 }),
    encrypt({ keys: keyring({ current: key }) }),
  ]);
  return (id) => sessions.session(id);
}

const WORKS: Readonly<Record<string, () => Promise<number>>> = {
  /** From the start of Node.js. */
  async read() {
    const items = await (await open())('history').getItems();
    if (items.length === 0) throw new Error('The history is empty.');
    return performance.now();
  },
  async append() {
    const [items = []] = turnsOf(1);
    const session = (await open())(`process ${process.pid}`);
    return timed(() => session.addItems(items));
  },
  async conversation() {
    const turns = turnsOf(10);
    const session = (await open())(`process ${process.pid}`);
    return timed(async () => {
      for (const items of turns) {
        await session.getItems();
        await session.addItems(items);
      }
    });
  },
};

async function timed(measured: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await measured();
  return performance.now() - start;
}

const milliseconds = await (WORKS[work] as () => Promise<number>)();
process.stdout.write(`${milliseconds * 1_000}\n`);
