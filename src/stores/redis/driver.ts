import type { DekRecord, DekStore, DekTombstone, HoldRecord, HoldStore } from '../../keys/dek-store.ts';
import { heldError } from '../../keys/held.ts';
import { StrongroomError } from '../../errors.ts';
import type { Announcements } from '../announcements.ts';
import type {
  Batch,
  Change,
  Fence,
  LeaseName,
  SessionSummary,
  StoreDriver,
  StoredRecord,
  View,
} from '../driver.ts';
import { lostTurnError, shreddedError } from '../failure.ts';
import { firstGeneration } from '../generation.ts';
import type { RedisArgument, RedisCommands } from './client.ts';
import { createIndexed, type Entries } from './indexed.ts';
import {
  ACQUIRE,
  APPEND,
  CHANGE,
  DESTROY,
  DROP,
  EXTEND,
  FIELDS,
  LOOK,
  PURGE,
  RENEW,
  RESCORE,
  REWRAP,
  STATS,
  VERSION,
  type Script,
} from './scripts.ts';

export interface RedisDriverOptions {
  readonly prefix: string;
  readonly operationLog: number;
  readonly now: () => number;
  readonly close: () => Promise<void>;
  /** What the server tells of changes by itself, if it shall. */
  readonly announcements?: Announcements;
}

/** Keys of one session: one hash slot of a cluster, because what is in braces is hashed. */
interface SessionKeys {
  readonly items: string;
  readonly meta: string;
  readonly ops: string;
  readonly deks: string;
  readonly holds: string;
}

/** How a change that was decided on is made. */
interface Application {
  readonly from: 'start' | 'end';
  readonly fence: Fence | undefined;
  readonly change: Change;
  readonly subject: string | undefined;
}

const ATTEMPTS = 200;

/**
 * {@link StoreDriver} over Redis. A session's history is a list; every change of it is one Lua script in the slot of
 * the session. What a change decides on is read first, with a version, and the script does nothing when the version
 * has moved on: then the decision is made again. Indexes over all sessions live in other slots: they are written before the
 * session, so that nothing stored is missing in them, and what they have too much is found out when it is used.
 */
export function redisDriver(commands: RedisCommands, options: RedisDriverOptions): StoreDriver {
  const { prefix, operationLog, now } = options;
  const ids = `${prefix}:ids`;
  const expiries = `${prefix}:expiries`;
  const births = `${prefix}:births`;
  const dekSessions = `${prefix}:dek-sessions`;
  const holdIds = `${prefix}:holds`;
  const subjectKey = (subject: string): string => `${prefix}:subject:${subject}`;
  const indexed = createIndexed();
  /** The turn on a session is in the session's slot, so that the scripts that change the session can look at it. */
  const leaseOf = (name: LeaseName): string =>
    name.startsWith('session ')
      ? `${prefix}:{${encodeURIComponent(name.slice('session '.length))}}:turn`
      : `${prefix}:{lease:${encodeURIComponent(name)}}`;
  const keysOf = (sessionId: string): SessionKeys => {
    const tag = `${prefix}:{${encodeURIComponent(sessionId)}}`;
    return {
      items: `${tag}:items`,
      meta: `${tag}:meta`,
      ops: `${tag}:ops`,
      deks: `${tag}:deks`,
      holds: `${tag}:holds`,
    };
  };

  /** So that the session is found by listings and by the purge. Scores only go down. */
  async function index(sessionId: string, { birth, expiry, subject }: Entries): Promise<void> {
    if (birth === Infinity) return;
    await Promise.all([
      commands.write('ZADD', ids, '0', sessionId),
      commands.write('ZADD', births, 'LT', String(birth), sessionId),
      ...(expiry === Infinity ? [] : [commands.write('ZADD', expiries, 'LT', String(expiry), sessionId)]),
      ...(subject === undefined ? [] : [commands.write('ZADD', subjectKey(subject), '0', sessionId)]),
    ]);
  }

  async function append({ sessionId, records, subject }: Batch): Promise<void> {
    const { items, meta, deks } = keysOf(sessionId);
    const dids = didsOf(records);
    const rest = [String(dids.length), ...dids, ...records.map(encode)];
    const push = async (script: Script, args: readonly string[]): Promise<string[]> => {
      const answer = await commands.script(script, [items, meta, deks], [...args, ...rest]);
      const [state, detail] = (answer as Buffer[]).map(String);
      if (state === 'shredded') throw shreddedError(sessionId, detail as string);
      return [state as string, detail as string];
    };
    const entries = entriesOf(records, subject);
    const known = indexed.generation(sessionId, entries);
    if (known !== undefined) {
      const [state] = await push(EXTEND, [known]);
      if (state === 'ok') return;
    }
    const settings = [String(firstGeneration()), sessionId, subject ?? ''];
    const [, [, generation]] = await Promise.all([index(sessionId, entries), push(APPEND, settings)]);
    // A deletion may have taken the entries since they were written, and a purge may have raised their scores: what
    // comes after the records stays, because either of them looks at the records again at its end.
    await index(sessionId, entries);
    indexed.note(sessionId, generation as string, entries);
  }

  async function look(
    keys: SessionKeys,
    from: 'start' | 'end',
    count: number,
    operation: string,
  ): Promise<{
    readonly version: string;
    readonly digest: string;
    readonly length: number;
    readonly records: Buffer[];
  }> {
    const answer = await commands.script(
      LOOK,
      [keys.items, keys.meta, keys.ops],
      [from, String(count), operation],
      true,
    );
    const [version, digest, length, records] = answer as [Buffer, Buffer, number, Buffer[]];
    return { version: String(version), digest: String(digest), length, records };
  }

  async function drop(sessionId: string, version = ''): Promise<boolean> {
    const keys = keysOf(sessionId);
    const subject = await commands.read('HGET', keys.meta, 'subject');
    const answer = await commands.script(
      DROP,
      [keys.items, keys.meta, keys.ops, keys.deks, keys.holds, leaseOf(`session ${sessionId}`)],
      [String(now()), version],
    );
    const [state, detail] = (answer as Buffer[]).map(String);
    if (state === 'held') throw heldError(sessionId, detail as string);
    if (state === 'stale') return false;
    indexed.forget(sessionId);
    await forget(sessionId, subject === null ? undefined : textOf(subject));
    return true;
  }

  /** Takes a session without items out of the indexes; one that got items meanwhile goes back in. */
  async function forget(sessionId: string, subject?: string): Promise<void> {
    await Promise.all([
      commands.write('ZREM', ids, sessionId),
      commands.write('ZREM', births, sessionId),
      commands.write('ZREM', expiries, sessionId),
      ...(subject === undefined ? [] : [commands.write('ZREM', subjectKey(subject), sessionId)]),
    ]);
    const keys = keysOf(sessionId);
    const { records } = await look(keys, 'start', -1, '');
    if (records.length === 0) return;
    const owner = await commands.read('HGET', keys.meta, 'subject');
    await index(sessionId, entriesOf(decodeAll(records), owner === null ? undefined : textOf(owner)));
  }

  async function apply(
    sessionId: string,
    keys: SessionKeys,
    looked: { readonly version: string; readonly length: number },
    view: View,
    { from, fence, change, subject }: Application,
  ): Promise<boolean> {
    const { remove, insert, operation, archive } = change;
    const stored = new Set(view.records);
    const settings = {
      version: looked.version,
      id: sessionId,
      subject,
      generation: String(firstGeneration()),
      dids: didsOf(insert.filter((record) => !stored.has(record))),
      inserted: insert.length,
      remove: typeof remove === 'string' ? remove : 'some',
      ...(typeof remove === 'object' && {
        index: (from === 'start' ? 0 : looked.length - view.records.length) + remove.start,
        count: remove.count,
      }),
      forget: change.forgetOperations === true,
      ...(operation !== undefined && {
        operation: operation.key,
        digest: operation.digest,
        log: operationLog,
      }),
      ...(archive !== undefined && { archive: archive.sessionId }),
      ...(fence !== undefined && { owner: fence.owner }),
    };
    const target = archive === undefined ? undefined : keysOf(archive.sessionId);
    const run = commands.script(
      CHANGE,
      [
        keys.items,
        keys.meta,
        keys.ops,
        keys.deks,
        leaseOf(fence?.lease ?? `session ${sessionId}`),
        ...(target === undefined ? [] : [target.items, target.meta]),
      ],
      [json(settings), ...insert.map(encode), ...(archive?.records ?? []).map(encode)],
    );
    const entries = entriesOf(insert, subject);
    const [, , answer] = await Promise.all([
      index(sessionId, entries),
      archive === undefined ? undefined : index(archive.sessionId, entriesOf(archive.records)),
      run,
    ]);
    // Most changes begin a generation: an append that trusted the one before would be refused.
    indexed.forget(sessionId);
    const [state, detail] = (answer as Buffer[]).map(String);
    if (state === 'shredded') throw shreddedError(sessionId, detail as string);
    if (state === 'lost') throw lostTurnError(sessionId);
    if (state === 'created') await index(sessionId, entries);
    return state !== 'stale';
  }

  const versionOf = async ({ items, meta }: SessionKeys): Promise<string> =>
    textOf(await commands.script(VERSION, [items, meta], [], true));

  async function summary(id: string, subject: string): Promise<SessionSummary | undefined> {
    const { items, meta } = keysOf(id);
    const answer = await commands.script(STATS, [items, meta], [subject], true);
    const [count, bytes, first, last, owner] = answer as [number, number, Buffer, Buffer, Buffer];
    if (count === 0) return undefined;
    const times = { firstAt: Number(first), lastAt: Number(last) };
    return { id, items: count, bytes, ...times, ...(owner.length > 0 && { subject: owner.toString() }) };
  }

  /** @returns How many records went, and whether expired ones are left. */
  async function purgeSession(
    id: string,
    before: number | undefined,
    at: number,
    most: number,
  ): Promise<{ readonly gone: number; readonly more: boolean }> {
    const keys = keysOf(id);
    let total = 0;
    for (;;) {
      const [expiryBefore, birthBefore] = await Promise.all([
        commands.read('ZSCORE', expiries, id),
        commands.read('ZSCORE', births, id),
      ]);
      const answer = await commands.script(
        PURGE,
        [keys.items, keys.meta, keys.ops, keys.holds],
        [String(at), before === undefined ? '' : String(before), String(most - total)],
      );
      const [gone, more, version, earliest, oldest, left] = answer as [
        number,
        number,
        Buffer,
        Buffer,
        Buffer,
        number,
      ];
      total += gone;
      if (left === -1) return { gone: total, more: false };
      if (left === 0) {
        await forget(id);
        return { gone: total, more: false };
      }
      await Promise.all([
        expiryBefore === null
          ? 0
          : commands.script(RESCORE, [expiries], [id, textOf(expiryBefore), String(earliest)]),
        birthBefore === null
          ? 0
          : commands.script(RESCORE, [births], [id, textOf(birthBefore), String(oldest)]),
      ]);
      // Written to since: the scores that were just set may be too late for what came.
      const same = (await versionOf(keys)) === String(version);
      if (same || more === 1) return { gone: total, more: more === 1 };
    }
  }

  return {
    name: 'openRedis',

    async read(sessionId, count) {
      const { items } = keysOf(sessionId);
      const range = await commands.read('LRANGE', items, count === undefined ? '0' : String(-count), '-1');
      return decodeAll(range as Buffer[]);
    },

    append: (sessionId, records, subject) =>
      append({ sessionId, records, ...(subject !== undefined && { subject }) }),

    // Commands that are sent in one turn travel together.
    appendMany: (batches) =>
      Promise.all(
        batches.map((batch) =>
          append(batch).then(
            () => undefined,
            (error: unknown) => error as Error,
          ),
        ),
      ),

    async change(sessionId, { records: count, from = 'end', operation = '', fence }, decide, subject) {
      const keys = keysOf(sessionId);
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const looked = await look(keys, from, count === 'all' ? -1 : count, operation);
        const view: View = {
          records: decodeAll(looked.records),
          ...(looked.digest !== '' && { operation: looked.digest }),
        };
        const change = decide(view);
        if (change === undefined) return;
        const done = change.drop
          ? await drop(sessionId, looked.version)
          : await apply(sessionId, keys, looked, view, { from, fence, change, subject });
        if (done) return;
      }
      throw new StrongroomError(
        'ERR_CONFLICT',
        `Other writers changed session ${JSON.stringify(sessionId)} ${ATTEMPTS} times in a row. Nothing was changed; try again.`,
      );
    },

    async version(sessionId) {
      const [generation, end] = (await versionOf(keysOf(sessionId))).split(':');
      return { generation: Number(generation), end: Number(end) };
    },

    ...(options.announcements !== undefined && { announcements: options.announcements }),

    async applied(sessionId, operationKey) {
      return (await commands.read('HEXISTS', keysOf(sessionId).ops, operationKey)) === 1;
    },

    dekStore: redisDekStore(),

    async summaries(after, count, subject) {
      const key = subject === undefined ? ids : subjectKey(subject);
      const found: SessionSummary[] = [];
      let start = after === undefined ? '-' : `(${after}`;
      for (;;) {
        const range = await commands.read('ZRANGEBYLEX', key, start, '+', 'LIMIT', '0', String(count));
        const page = (range as Buffer[]).map(String);
        const summaries = await Promise.all(page.map((id) => summary(id, subject ?? '')));
        for (const each of summaries) if (each !== undefined && found.length < count) found.push(each);
        if (page.length < count || found.length === count) return found;
        start = `(${page.at(-1)}`;
      }
    },

    async purge({ now: at, writtenBefore }, batch) {
      const sessions: string[] = [];
      const seen = new Set<string>();
      for (const [key, until] of [
        [expiries, at],
        [births, writtenBefore],
      ] as const) {
        if (until === undefined) continue;
        for (let offset = 0; ;) {
          const range = await commands.read(
            'ZRANGEBYSCORE',
            key,
            '-inf',
            String(until),
            'LIMIT',
            String(offset),
            '50',
          );
          const page = (range as Buffer[]).map(String);
          if (page.length === 0) break;
          for (const id of page) {
            if (seen.has(id)) {
              // Under a hold, or its score is only too low: it stays where it is.
              offset++;
              continue;
            }
            const { gone, more } = await purgeSession(id, writtenBefore, at, batch - sessions.length);
            for (let count = 0; count < gone; count++) sessions.push(id);
            if (more || sessions.length >= batch) return { sessions, more: true };
            seen.add(id);
          }
        }
      }
      return { sessions, more: false };
    },

    async expired({ now: at, writtenBefore }) {
      const ids = new Set<string>();
      for (const [key, until] of [
        [expiries, at],
        [births, writtenBefore],
      ] as const) {
        if (until === undefined) continue;
        const range = await commands.read('ZRANGEBYSCORE', key, '-inf', String(until));
        for (const id of range as Buffer[]) ids.add(id.toString());
      }
      const found: { id: string; items: number }[] = [];
      for (const id of ids) {
        const keys = keysOf(id);
        if ((await commands.read('HLEN', keys.holds)) !== 0) continue;
        const records = decodeAll((await commands.read('LRANGE', keys.items, '0', '-1')) as Buffer[]);
        const items = records.filter(
          ({ expiresAt, bornAt, writtenAt }) =>
            (expiresAt !== null && expiresAt <= at) ||
            (writtenBefore !== undefined && (bornAt ?? writtenAt) <= writtenBefore),
        ).length;
        if (items > 0) found.push({ id, items });
      }
      return found;
    },

    leases: {
      async acquire(name, owner, milliseconds) {
        return (await commands.script(ACQUIRE, [leaseOf(name)], [owner, String(milliseconds)])) === 1;
      },
      async renew(name, owner, milliseconds) {
        return (await commands.script(RENEW, [leaseOf(name)], [owner, String(milliseconds)])) === 1;
      },
      async release(name, owner) {
        await commands.script(RENEW, [leaseOf(name)], [owner, '0']);
      },
    },

    deleteSession: async (sessionId) => void (await drop(sessionId)),
    ping: async () => void (await commands.read('PING')),
    close: options.close,
  };

  function redisDekStore(): DekStore & { readonly holds: HoldStore } {
    const parse = (sessionId: string, did: string, value: string): DekRecord | DekTombstone =>
      value.startsWith('!')
        ? { sessionId, did, destroyedAt: Number(value.slice(1)) }
        : { sessionId, did, ...(JSON.parse(value) as Pick<DekRecord, 'kid' | 'wrapped' | 'createdAt'>) };
    return {
      async put({ sessionId, did, kid, wrapped, createdAt }) {
        const [, stored] = await Promise.all([
          commands.write('ZADD', dekSessions, '0', sessionId),
          commands.write('HSETNX', keysOf(sessionId).deks, did, json({ kid, wrapped, createdAt })),
        ]);
        return stored === 1;
      },
      async get(sessionId, did) {
        const value = await commands.read('HGET', keysOf(sessionId).deks, did);
        return value === null ? undefined : parse(sessionId, did, textOf(value));
      },
      async *list({ sessionId, kid } = {}) {
        let start = '-';
        for (;;) {
          const range =
            sessionId === undefined
              ? ((await commands.read(
                  'ZRANGEBYLEX',
                  dekSessions,
                  start,
                  '+',
                  'LIMIT',
                  '0',
                  '100',
                )) as Buffer[])
              : [Buffer.from(sessionId)];
          for (const id of range.map(String)) {
            const flat = ((await commands.script(FIELDS, [keysOf(id).deks], [], true)) as Buffer[]).map(
              String,
            );
            for (let at = 0; at < flat.length; at += 2) {
              const record = parse(id, flat[at] as string, flat[at + 1] as string);
              if ('wrapped' in record && (kid === undefined || record.kid === kid)) yield record;
            }
          }
          if (sessionId !== undefined || range.length < 100) return;
          start = `(${String(range.at(-1))}`;
        }
      },
      replaceWrapped: async (sessionId, did, expected, next) =>
        (await commands.script(REWRAP, [keysOf(sessionId).deks], [did, expected, next.wrapped, next.kid])) ===
        1,
      async destroy(sessionId, did) {
        const { deks, holds } = keysOf(sessionId);
        const answer = await commands.script(DESTROY, [deks, holds], [String(now()), did ?? '']);
        const [state, ...rest] = (answer as Buffer[]).map(String);
        if (state === 'held') throw heldError(sessionId, rest[0] as string);
        const tombstones: DekTombstone[] = [];
        for (let at = 0; at < rest.length; at += 2) {
          tombstones.push({ sessionId, did: rest[at] as string, destroyedAt: Number(rest[at + 1]) });
        }
        return tombstones;
      },
      holds: {
        async place(hold) {
          const taken = await commands.write('HSETNX', holdIds, hold.id, json(hold));
          // The one who repeats a call that was cut off makes it whole.
          const record = taken === 1 ? hold : await findHold(hold.id);
          if (record !== undefined && record.releasedAt === undefined) {
            await commands.write('HSET', keysOf(record.sessionId).holds, record.id, '1');
          }
          return taken === 1;
        },
        async release(id, releasedAt, releasedBy) {
          const hold = await findHold(id);
          if (hold === undefined) return undefined;
          const released: HoldRecord =
            hold.releasedAt !== undefined
              ? hold
              : { ...hold, releasedAt, ...(releasedBy !== undefined && { releasedBy }) };
          await commands.write('HSET', holdIds, id, json(released));
          await commands.write('HDEL', keysOf(hold.sessionId).holds, id);
          return released;
        },
        async list({ sessionId, open } = {}) {
          const values = ((await commands.read('HVALS', holdIds)) as Buffer[]).map(
            (value) => JSON.parse(String(value)) as HoldRecord,
          );
          return values
            .filter((hold) => sessionId === undefined || hold.sessionId === sessionId)
            .filter((hold) => open === undefined || (hold.releasedAt === undefined) === open)
            .sort((a, b) => a.placedAt - b.placedAt);
        },
      },
    };
  }

  async function findHold(id: string): Promise<HoldRecord | undefined> {
    const found = await commands.read('HGET', holdIds, id);
    return found === null ? undefined : (JSON.parse(textOf(found)) as HoldRecord);
  }
}

const NEW_LINE = 10;

function encode(record: StoredRecord): RedisArgument {
  const { writtenAt, expiresAt, bornAt, did, head, wrapped, body } = record;
  const line = `[${writtenAt},${expiresAt},${bornAt},${quoted(did)},${quoted(head)},${quoted(wrapped)}]`;
  // Text stays text: the client sends it together with what is around it.
  if (typeof body === 'string') return `${line}\n${body}`;
  return Buffer.concat([Buffer.from(`${line}\n`), body]);
}

function quoted(text: string | null): string {
  return text === null ? 'null' : json(text);
}

/** Records that were appended together mostly have the same line: it is parsed once. */
function decodeAll(elements: readonly Buffer[]): StoredRecord[] {
  let previous: Buffer | undefined;
  let line: Line | undefined;
  let end = -1;
  return elements.map((element) => {
    if (
      previous === undefined ||
      element[end] !== NEW_LINE ||
      element.compare(previous, 0, end, 0, end) !== 0
    ) {
      end = element.indexOf(NEW_LINE);
      line = parseLine(element.toString('utf8', 0, Math.max(end, 0)));
      previous = line === undefined ? undefined : element;
    }
    // Bytes without a head are no record: whoever wants the item is told so.
    if (line === undefined) return { ...DAMAGED, body: element };
    const [writtenAt, expiresAt, bornAt, did, head, wrapped] = line;
    const body = head === null ? element.toString('utf8', end + 1) : element.subarray(end + 1);
    return { writtenAt, expiresAt, bornAt, did, head, wrapped, body };
  });
}

const DAMAGED = { writtenAt: 0, expiresAt: null, bornAt: null, did: null, head: null, wrapped: null };

type Line = [number, number | null, number | null, string | null, string | null, string | null];

function parseLine(text: string): Line | undefined {
  try {
    const line: unknown = JSON.parse(text);
    return Array.isArray(line) ? (line as Line) : undefined;
  } catch {
    return undefined;
  }
}

/** Data keys that must be there: those which are not in the envelopes. */
function didsOf(records: readonly StoredRecord[]): string[] {
  return [...new Set(records.flatMap(({ did, wrapped }) => (did !== null && wrapped === null ? [did] : [])))];
}

function entriesOf(records: readonly StoredRecord[], subject?: string): Entries {
  return {
    birth: least(records.map(({ bornAt, writtenAt }) => bornAt ?? writtenAt)),
    expiry: least(records.map(({ expiresAt }) => expiresAt ?? Infinity)),
    subject,
  };
}

function least(values: readonly number[]): number {
  return values.reduce((least, value) => Math.min(least, value), Infinity);
}

/** A bulk string, or a number of RESP 3. */
function textOf(value: unknown): string {
  return Buffer.isBuffer(value) ? value.toString('utf8') : `${value as string | number}`;
}

function json(value: unknown): string {
  return JSON.stringify(value);
}
