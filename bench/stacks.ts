import { MemorySession, type Session } from '@openai/agents';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  audit,
  authorize,
  cache,
  encrypt,
  expire,
  generateKey,
  keyring,
  redact,
  wrapSession,
  type Layers,
} from '../src/index.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { conversation } from './items.ts';
import { compare, type Candidate, type Result } from './rounds.ts';

/** Items that one turn of a conversation adds: a message, a call, its result, an answer. */
const TURN = 4;

/** The stacks that are compared; the first one is the bare session. */
export async function stacks(): Promise<Map<string, Layers>> {
  const keys = keyring({ current: await generateKey() });
  const found = redact({ entities: ['EMAIL_ADDRESS', 'CREDIT_CARD'] });
  const full = (options: { readonly freeze?: boolean }): Layers => [
    found,
    expire({ after: '30d' }),
    cache({ maxItems: 1_000_000, ...options }),
    encrypt({ keys }),
  ];
  return new Map<string, Layers>([
    ['bare session', []],
    ['audit', [audit({ sink: () => undefined })]],
    ['authorize', [authorize({ check: () => true })]],
    ['redact', [redact({ entities: ['EMAIL_ADDRESS', 'CREDIT_CARD'] })]],
    ['expire', [expire({ after: '30d' })]],
    ['cache', [cache({ maxItems: 1_000_000 })]],
    ['encrypt', [encrypt({ keys })]],
    ['cache, encrypt', [cache({ maxItems: 1_000_000 }), encrypt({ keys })]],
    ['full stack', full({})],
    ['full stack, frozen', full({ freeze: true })],
  ]);
}

/** A place for sessions. */
export interface Place {
  readonly name: string;
  session(id: string): Session;
  close(): Promise<void>;
}

export function memory(): Place {
  return { name: 'MemorySession', session: () => new MemorySession(), close: async () => undefined };
}

/** A file, because a database in memory does not write. */
export function sqlite(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const store = openSqlite(join(folder, 'bench.db'));
  return {
    name: 'openSqlite(file)',
    session: (id) => store.session(id),
    async close() {
      await store.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The three things that are measured of a stack with `count` items. */
export interface StackResults {
  readonly read: Result[];
  readonly append: Result[];
  readonly conversation: Result[];
}

export async function measureStacks(place: Place, count: number, rounds: number): Promise<StackResults> {
  const all = [...(await stacks())];
  let sessions = 0;
  const open = (layers: Layers): Session => {
    const inner = place.session(`session-${place.name}-${count}-${sessions++}`);
    return layers.length === 0 ? inner : wrapSession(inner, layers);
  };
  const prepared = await Promise.all(
    all.map(async ([name, layers]) => {
      const session = open(layers);
      await session.addItems(conversation(count));
      return { name, session };
    }),
  );
  const runs = Math.max(5, Math.round(400 / count));
  const read = await compare(
    prepared.map(({ name, session }) => ({ name, prepare: () => async () => session.getItems() })),
    { rounds, runs },
  );
  const append = await compare(
    prepared.map(({ name, session }) => ({
      name,
      prepare: () => async () => session.addItems(conversation(TURN, count)),
    })),
    { rounds, runs: 10 },
  );
  const whole = await compare(
    all.map(([name, layers]): Candidate => ({
      name,
      prepare: () => {
        const session = open(layers);
        return async () => {
          for (let turn = 0; turn < count / TURN; turn++) {
            await session.getItems();
            await session.addItems(conversation(TURN, turn * TURN));
          }
        };
      },
    })),
    { rounds, runs: 1 },
  );
  return { read, append, conversation: whole };
}
