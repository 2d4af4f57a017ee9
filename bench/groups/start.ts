import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, wrapStore } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { buildPackage, numberFrom } from '../children/run.ts';
import type { Column, Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { compareSamples } from '../rounds.ts';
import { handWrittenSqlite } from '../sessions-by-hand.ts';
import { fill, fullStack } from '../stacks.ts';

const TURNS = 100;

/** Works of `children/start.ts`, by the titles of their columns. */
const WORKS = {
  'start and getItems()': 'read',
  'first addItems(4)': 'append',
  'first conversation of 10 turns': 'conversation',
};

export const startGroup: Group = {
  title: 'Cold start',
  note: `A new process, in which no code is compiled yet: from the start of Node.js until it has read a history of ${TURNS} turns (it imports, opens the file and the store, unwraps the key); then the first call and the first conversation of another one, after its imports.`,
  async *measure({ rounds }) {
    buildPackage();
    const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
    try {
      const items = conversation(TURNS * TURN);
      const key = await generateKey();
      writeFileSync(join(folder, 'key.json'), JSON.stringify(key));
      const byHand = handWrittenSqlite(join(folder, 'by-hand.db'));
      await fill(byHand.session('history'), items);
      byHand.close();
      const bare = openSqlite(join(folder, 'bare.db'));
      await fill(bare.session('history'), items);
      await bare.close();
      const full = wrapStore(openSqlite(join(folder, 'full.db')), fullStack(key));
      await fill(full.session('history'), items);
      await full.close();
      const columns: Column[] = [];
      for (const [title, work] of Object.entries(WORKS)) {
        const samplers = ['by hand', 'our store, bare', 'full stack'].map((name) => ({
          name,
          sample: () =>
            Math.min(start(name, folder, work), start(name, folder, work), start(name, folder, work)),
        }));
        columns.push({ title, results: await compareSamples(samplers, rounds) });
      }
      yield { title: 'a process that just started', unit: 'time', base: 'by hand', columns };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function start(name: string, folder: string, work: string): number {
  return numberFrom(['bench/children/start.ts', name, folder, work]);
}
