import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { generateKey, wrapStore } from '../../src/index.ts';
import { openSqlite } from '../../src/stores/sqlite.ts';
import { buildPackage, numberFrom } from '../children/run.ts';
import type { Group } from '../group.ts';
import { conversation, TURN } from '../items.ts';
import { compareSamples } from '../rounds.ts';
import { handWrittenSqlite } from '../sessions-by-hand.ts';
import { fill, fullStack } from '../stacks.ts';

const TURNS = 100;

export const startGroup: Group = {
  title: 'Cold start',
  note: `A new process from the start of Node.js until it has read a history of ${TURNS} turns: imports, opens the file and the store, unwraps the key.`,
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
      const samplers = ['by hand', 'our store, bare', 'full stack'].map((name) => ({
        name,
        sample: () => Math.min(start(name, folder), start(name, folder), start(name, folder)),
      }));
      const results = await compareSamples(samplers, rounds);
      yield { title: 'cold start', unit: 'time', base: 'by hand', columns: [{ title: 'process', results }] };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

function start(name: string, folder: string): number {
  return numberFrom(['bench/children/start.ts', name, folder]);
}
