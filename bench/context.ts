import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { AgentInputItem } from '@openai/agents';
import { encrypt, generateKey, keyring, trimHistory, wrapSession } from '../src/index.ts';
import { conversation } from './items.ts';
import { against, measureRounds, type Candidate, type Result } from './rounds.ts';
import { sqlite } from './stacks.ts';

/**
 * What it costs to decide what a run sends, in units of reading the same history from SQLite: by hand, through our
 * store, and sealed. The first turn counts everything. A second one counts what it has not seen, if a cache hands out
 * the items themselves (`cache({ freeze: true })`); with a session that returns new objects it is like the first.
 *
 * @returns One column for each of the three reads, one row for each candidate.
 */
export async function measureContext(
  count: number,
  rounds: number,
): Promise<readonly (readonly [string, Result[]])[]> {
  const place = sqlite();
  const byHand = handWritten();
  try {
    const keys = keyring({ current: await generateKey() });
    const bare = place.session('bare');
    const sealed = wrapSession(place.session('sealed'), [encrypt({ keys })]);
    for (const session of [bare, sealed, byHand]) await session.addItems(conversation(count));
    const trim = trimHistory({ maxTokens: 8_000 });
    const turns = trimHistory({ maxTurns: 20 });
    const question: AgentInputItem[] = [{ role: 'user', content: 'and now?' }];
    const candidates: Candidate[] = [
      { name: 'read by hand', prepare: () => () => byHand.getItems() },
      { name: 'read through openSqlite()', prepare: () => () => bare.getItems() },
      { name: 'the same, sealed', prepare: () => () => sealed.getItems() },
      {
        name: 'trimHistory({ maxTokens }), first turn',
        prepare: () => {
          const items = byHand.getItems();
          return () => trim(items, question);
        },
      },
      {
        name: 'second turn, frozen items',
        prepare: () => {
          const items = byHand.getItems().map(freeze);
          void trim(items, question);
          items.push(...conversation(4, count).map(freeze));
          return () => trim(items, question);
        },
      },
      {
        name: 'trimHistory({ maxTurns })',
        prepare: () => {
          const items = byHand.getItems();
          return () => turns(items, question);
        },
      },
    ];
    const times = await measureRounds(candidates, { rounds, runs: 5 });
    return [
      ['by hand', against(candidates, times, 0)],
      ['our store', against(candidates, times, 1)],
      ['sealed', against(candidates, times, 2)],
    ];
  } finally {
    byHand.close();
    await place.close();
  }
}

/** The least that a session over SQLite does. */
function handWritten(): {
  addItems(items: readonly AgentInputItem[]): void;
  getItems(): AgentInputItem[];
  close(): void;
} {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const database = new DatabaseSync(join(folder, 'bench.db'));
  database.exec('CREATE TABLE items (id INTEGER PRIMARY KEY, session TEXT, json TEXT)');
  database.exec('CREATE INDEX by_session ON items (session)');
  const insert = database.prepare("INSERT INTO items (session, json) VALUES ('s', ?)");
  const select = database.prepare("SELECT json FROM items WHERE session = 's' ORDER BY id");
  return {
    addItems(items) {
      database.exec('BEGIN');
      for (const item of items) insert.run(JSON.stringify(item));
      database.exec('COMMIT');
    },
    getItems: () => select.all().map(({ json }) => JSON.parse(json as string) as AgentInputItem),
    close() {
      database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function freeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(value).forEach(freeze);
  return Object.freeze(value);
}
