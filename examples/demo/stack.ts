/** The store and the stack that all processes of the demo share. */
import {
  audit,
  cache,
  encrypt,
  expire,
  keyring,
  redact,
  wrapStore,
  type AuditEvent,
  type Keyring,
  type Store,
} from 'strongroom';
import { openSqlite } from 'strongroom/sqlite';

/** The options that differ between the processes. */
export interface ConversationsOptions {
  readonly path: string;
  /** The key-encryption key as a JWK in JSON. */
  readonly key: string;
  /** Unix milliseconds. */
  readonly clock?: () => number;
  readonly sink?: (event: AuditEvent) => void;
}

/** The conversations of the support desk, as every process opens them. */
export function openConversations({
  path,
  key,
  clock = Date.now,
  sink = () => undefined,
}: ConversationsOptions): Store {
  return wrapStore(openSqlite(path, { clock }), [
    audit({ sink }),
    redact({ entities: ['EMAIL_ADDRESS', 'CREDIT_CARD'] }),
    expire({ after: '30d', clock }),
    cache({ maxItems: 10_000 }),
    encrypt({ keys: keysOf(key) }),
  ]);
}

/** The keyring of a key-encryption key. */
export function keysOf(key: string): Keyring {
  return keyring({ current: JSON.parse(key) });
}

export const ADA = 'customer-4711';
export const BO = 'customer-0815';

/** Read by the children of the demo; `main.ts` sets both. */
export function fromEnvironment(): { path: string; key: string } {
  const { STRONGROOM_DEMO_FILE: path, STRONGROOM_KEY: key } = process.env;
  if (path === undefined || key === undefined) throw new Error('Start the demo with `npm run demo`.');
  return { path, key };
}
