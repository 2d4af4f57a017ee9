import type { AgentInputItem, Session, SessionHistoryTransactionArgs } from '@openai/agents';
import { clockOf } from '../clock.ts';
import { fromBase64url, fromUtf8, toBase64url, utf8 } from '../crypto/encoding.ts';
import { randomName } from '../crypto/random.ts';
import { derivedId, openDerived } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import { atOnce, checkOptions, invalidOption } from '../options.ts';
import type { DekRecord, DekStore, DekTombstone } from './dek-store.ts';

/** Options of {@link sessionDekStore}. */
export interface SessionDekStoreOptions {
  /** The ids of all sessions, for `list()` without a session id. Without it such a call is `ERR_UNSUPPORTED`. */
  readonly sessionIds?: () => AsyncIterable<string> | Iterable<string>;
  /** Unix milliseconds, for tombstones. @defaultValue `Date.now` */
  readonly clock?: () => number;
  /**
   * The id of the session with the keys of a session. The default is an id that no user of our stores can choose;
   * earlier versions had `<session id>:keys`, which a user who may choose an id can take.
   *
   * @defaultValue `derivedId({ kind: 'keys', of: sessionId })`, which is `~keys~~<session id>`
   */
  readonly keySessionId?: (sessionId: string) => string;
}

interface TransactionalSession extends Session {
  applyHistoryTransaction?(args: SessionHistoryTransactionArgs): Promise<void>;
}

/** The content of one item of the key session. The items are a log: the first of two conflicting ones counts. */
type LogEntry =
  | { readonly put: Omit<DekRecord, 'sessionId'> }
  | { readonly replace: { did: string; expected: string; wrapped: string; kid: string; nonce: string } }
  | { readonly destroy: { readonly did: string; readonly destroyedAt: number } };

const PREFIX = 'sr1-deks.';

const idOfKeys = (sessionId: string): string => derivedId({ kind: 'keys', of: sessionId });

/**
 * Data keys in a second session for each session, made by `factory` for the id `~keys~~<session id>`: works over any
 * session of the SDK. Its limits: it is in the same backups as the items, so shredding does not reach backups; one
 * key of several can be destroyed only where the session has transactions (`ERR_UNSUPPORTED` elsewhere); it keeps
 * no holds; and every look-up reads the whole key session. A separate database is better.
 *
 * Do not purge by age (`purgeExpired({ after })`) in a store that has key sessions: their items are old and needed.
 *
 * @param factory Gives the session of an id. Nothing else may write to it, and it must not be wrapped in `encrypt`
 * or `expire`.
 * @throws `ERR_INVALID_OPTION`. Later calls: `ERR_MALFORMED` when the key session holds any other item.
 * @example
 * ```ts
 * import { encrypt, generateKey, keyring } from 'strongroom';
 * import { sessionDekStore } from 'strongroom/keys';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const keyFile = openSqlite('keys.db');
 * const dekStore = sessionDekStore((id) => keyFile.session(id));
 * const layer = encrypt({ keys: keyring({ current: await generateKey() }), dekStore });
 * ```
 */
export function sessionDekStore(
  factory: (id: string) => Session,
  options: SessionDekStoreOptions = {},
): DekStore {
  const where = 'sessionDekStore';
  if (typeof factory !== 'function')
    invalidOption(where, 'factory', 'a function that returns a session', factory);
  checkOptions(where, options, ['sessionIds', 'clock', 'keySessionId']);
  const { sessionIds, keySessionId = idOfKeys } = options;
  if (typeof keySessionId !== 'function')
    invalidOption(where, 'keySessionId', 'a function that returns an id', keySessionId);
  const now = clockOf(where, options.clock);

  const sessionOf = (sessionId: string): TransactionalSession =>
    openDerived(atOnce(where, 'keySessionId', keySessionId(sessionId)), (id) =>
      atOnce(where, 'factory', factory(id)),
    );
  const replay = async (
    sessionId: string,
  ): Promise<{ items: AgentInputItem[]; state: Map<string, DekRecord | DekTombstone>; won: Set<string> }> => {
    const items = await sessionOf(sessionId).getItems();
    const state = new Map<string, DekRecord | DekTombstone>();
    const won = new Set<string>();
    for (const item of items) apply(state, won, sessionId, parse(item, sessionId));
    return { items, state, won };
  };

  async function* liveOf(sessionId: string, kid: string | undefined): AsyncIterable<DekRecord> {
    const { state } = await replay(sessionId);
    for (const record of state.values()) {
      if ('wrapped' in record && (kid === undefined || record.kid === kid)) yield record;
    }
  }

  return {
    async put({ sessionId, ...record }) {
      const before = await replay(sessionId);
      if (before.state.has(record.did)) return false;
      await sessionOf(sessionId).addItems([format({ put: record })]);
      const { state } = await replay(sessionId);
      const stored = state.get(record.did);
      return stored !== undefined && 'wrapped' in stored && stored.wrapped === record.wrapped;
    },
    async get(sessionId, did) {
      return (await replay(sessionId)).state.get(did);
    },
    async *list({ sessionId, kid } = {}) {
      if (sessionId !== undefined) {
        yield* liveOf(sessionId, kid);
        return;
      }
      if (sessionIds === undefined) {
        throw new StrongroomError(
          'ERR_UNSUPPORTED',
          'sessionDekStore cannot list sessions. Pass a session id, or give sessionDekStore the option `sessionIds`.',
        );
      }
      for await (const id of sessionIds()) yield* liveOf(id, kid);
    },
    async replaceWrapped(sessionId, did, expected, next) {
      const { state } = await replay(sessionId);
      const record = state.get(did);
      if (record === undefined || !('wrapped' in record) || record.wrapped !== expected) return false;
      const nonce = randomName();
      const { wrapped, kid } = next;
      await sessionOf(sessionId).addItems([format({ replace: { did, expected, wrapped, kid, nonce } })]);
      return (await replay(sessionId)).won.has(nonce);
    },
    async destroy(sessionId, did) {
      const session = sessionOf(sessionId);
      const { items, state } = await replay(sessionId);
      const destroyedAt = now();
      const gone = [...state.values()].filter((record) => did === undefined || record.did === did);
      const tombstones = gone.map((record): DekTombstone =>
        'destroyedAt' in record ? record : { sessionId, did: record.did, destroyedAt },
      );
      if (gone.every((record) => 'destroyedAt' in record)) return tombstones;
      const destroyed = tombstones.map((tombstone) =>
        format({ destroy: { did: tombstone.did, destroyedAt: tombstone.destroyedAt } }),
      );
      const dids = new Set(tombstones.map((tombstone) => tombstone.did));
      const kept = items.filter((item) => !dids.has(didOf(parse(item, sessionId))));
      if (session.applyHistoryTransaction !== undefined) {
        await session.applyHistoryTransaction({
          operationId: `destroy-${randomName()}`,
          transaction: {
            type: 'replace_suffix',
            expectedSuffix: items,
            replacement: [...kept, ...destroyed],
          },
        });
        return tombstones;
      }
      if (kept.length > 0) {
        throw new StrongroomError(
          'ERR_UNSUPPORTED',
          'sessionDekStore cannot destroy one of several data keys in a session without transactions: a crash in ' +
            'between would lose the others. Destroy all keys of the session, or use another DEK store.',
        );
      }
      // After a crash in between the keys are destroyed, as intended, but have no tombstones.
      await session.clearSession();
      await session.addItems(destroyed);
      return tombstones;
    },
  };
}

function apply(
  state: Map<string, DekRecord | DekTombstone>,
  won: Set<string>,
  sessionId: string,
  entry: LogEntry,
): void {
  if ('put' in entry) {
    if (!state.has(entry.put.did)) state.set(entry.put.did, { sessionId, ...entry.put });
  } else if ('destroy' in entry) {
    const { did, destroyedAt } = entry.destroy;
    state.set(did, { sessionId, did, destroyedAt });
  } else {
    const { did, expected, wrapped, kid, nonce } = entry.replace;
    const record = state.get(did);
    if (record === undefined || !('wrapped' in record) || record.wrapped !== expected) return;
    state.set(did, { ...record, wrapped, kid });
    won.add(nonce);
  }
}

function didOf(entry: LogEntry): string {
  if ('put' in entry) return entry.put.did;
  return 'destroy' in entry ? entry.destroy.did : entry.replace.did;
}

function format(entry: LogEntry): AgentInputItem {
  const text = PREFIX + toBase64url(utf8(JSON.stringify(entry)));
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

function parse(item: AgentInputItem, sessionId: string): LogEntry {
  const { content } = item as { content?: unknown };
  const part = (Array.isArray(content) ? content[0] : undefined) as { text?: unknown } | undefined;
  try {
    const text = part?.text;
    if (typeof text !== 'string' || !text.startsWith(PREFIX)) throw new SyntaxError('no entry');
    const entry: unknown = JSON.parse(
      fromUtf8(fromBase64url(text.slice(PREFIX.length)) ?? new Uint8Array(0)),
    );
    if (typeof entry !== 'object' || entry === null) throw new SyntaxError('no entry');
    const [body] = Object.values(entry) as { did?: unknown }[];
    if (typeof body?.did !== 'string') throw new SyntaxError('no entry');
    return entry as LogEntry;
  } catch {
    throw new StrongroomError(
      'ERR_MALFORMED',
      `The key session of ${JSON.stringify(sessionId)} holds an item that sessionDekStore did not write. Give it a ` +
        'session of its own.',
    );
  }
}
