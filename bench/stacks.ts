import { MemorySession, type AgentInputItem, type Session } from '@openai/agents';
import type { JWK } from 'jose';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  audit,
  authorize,
  cache,
  encrypt,
  expire,
  keyring,
  redact,
  wrapSession,
  wrapStore,
  type CacheOptions,
  type Layers,
} from '../src/index.ts';
import { openSqlite } from '../src/stores/sqlite.ts';
import { handWrittenSqlite, type SessionByHand } from './sessions-by-hand.ts';

/** The stack of the README, with everything that `redact()` looks for by default. */
export function fullStack(key: JWK, options: Pick<CacheOptions, 'freeze'> = {}): Layers {
  return [
    redact(),
    expire({ after: '30d' }),
    cache({ maxBytes: 64 * 2 ** 20, ...options }),
    encrypt({ keys: keyring({ current: key }) }),
  ];
}

/** Each layer alone, and some together; the first one is the bare session. */
export function layersAlone(key: JWK): ReadonlyMap<string, Layers> {
  const keys = keyring({ current: key });
  return new Map<string, Layers>([
    ['bare session', []],
    ['audit', [audit({ sink: () => undefined })]],
    ['authorize', [authorize({ check: () => true })]],
    ['redact', [redact()]],
    ['expire', [expire({ after: '30d' })]],
    ['cache', [cache({ maxItems: 1_000_000 })]],
    ['encrypt', [encrypt({ keys })]],
    ['cache, encrypt', [cache({ maxItems: 1_000_000 }), encrypt({ keys })]],
    ['full stack', fullStack(key)],
    ['full stack, frozen', fullStack(key, { freeze: true })],
  ]);
}

/** A session of ours has more members than one by hand. */
type StoredSession = SessionByHand | Session;

/** An implementation of sessions that is compared with others. */
export interface Place {
  readonly name: string;
  readonly session: (id: string) => StoredSession;
  /** The same session as in a new process: with new layers, keys and caches. */
  readonly anew: (id: string) => StoredSession;
  /** Its database. */
  readonly file: string;
  /** @param look Reads the file after it was closed, before it is deleted. */
  close<T>(look?: () => T): Promise<T | undefined>;
}

/** A session written by hand over `node:sqlite`. */
export function byHand(): Place {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const file = join(folder, 'bench.db');
  const { session, close } = handWrittenSqlite(file);
  return {
    name: 'by hand',
    session,
    anew: session,
    file,
    async close(look) {
      close();
      const seen = look?.();
      rmSync(folder, { recursive: true, force: true });
      return seen;
    },
  };
}

/** Our store in a file, because a database in memory does not write. */
export function ours(
  name: string,
  makeLayers?: () => Layers,
): { readonly session: (id: string) => Session } & Place {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-bench-'));
  const file = join(folder, 'bench.db');
  const store = openSqlite(file);
  const wrapped = makeLayers === undefined ? store : wrapStore(store, makeLayers());
  return {
    name,
    session: (id) => wrapped.session(id),
    anew: (id) => (makeLayers === undefined ? store : wrapStore(store, makeLayers())).session(id),
    file,
    async close(look) {
      await store.close();
      const seen = look?.();
      rmSync(folder, { recursive: true, force: true });
      return seen;
    },
  };
}

/** A session by hand, our bare store, and full stacks over it, each with a file of its own. */
export function sqlitePlaces(key: JWK): readonly [Place, Place, Place, Place] {
  return [
    byHand(),
    ours('our store, bare'),
    ours('full stack', () => fullStack(key)),
    ours('full stack, frozen', () => fullStack(key, { freeze: true })),
  ];
}

/** A new session that has no database. */
export function memorySession(layers: Layers): Session {
  const session = new MemorySession();
  return layers.length === 0 ? session : wrapSession(session, layers);
}

/** Fills a session like a program that adds many items at once. */
export async function fill(session: SessionByHand, items: readonly AgentInputItem[]): Promise<void> {
  for (let from = 0; from < items.length; from += 500) await session.addItems(items.slice(from, from + 500));
}
