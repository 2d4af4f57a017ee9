import { isStrongroomError, StrongroomError } from '../../errors.ts';
import type { Announcements } from '../announcements.ts';
import type { Batch, Change, StoreDriver, StoredRecord, View } from '../driver.ts';
import { SERVER_BOUND } from '../../clock.ts';
import {
  type KeyProblem,
  type Outcome,
  keyError,
  saying,
  withOutcome,
  subjectError,
  isLostHistory,
  lostHistoryError,
} from '../failure.ts';
import { firstTimes } from '../first-times.ts';
import { newMark, type Since } from '../marks.ts';
import { didsOf, neededDids } from '../record.ts';
import { removes } from '../removal.ts';
import { textOf, type RedisArgument, type RedisCommands } from './client.ts';
import { redisDekStore } from './dek-store.ts';
import { decodeElements, encodeAppend } from './element.ts';
import { createIndexed, type Entries } from './indexed.ts';
import { sessionKeys } from './keys.ts';
import { redisLeases } from './leases.ts';
import { listNames, movedTo, outOfStep, type Lists } from './lists.ts';
import {
  APPEND,
  CHANGE,
  DROP,
  LOOK,
  PURGE,
  PUSH_KEYED,
  REMOVE_ORPHAN,
  RESCORE,
  STATS,
  VERSION,
} from './scripts.ts';
import { type Fence, lostTurnError, type SessionSummary } from '../../session-contract.ts';
import { heldError } from '../../keys/dek-store.ts';

export interface RedisDriverOptions {
  readonly prefix: string;
  readonly operationLog: number;
  readonly now: () => number;
  readonly close: () => Promise<void>;
  /** Looks at the settings of the server. */
  readonly check: () => Promise<void>;
  /** Calls back whenever a connection was made. */
  readonly onConnection: (made: () => void) => void;
  /** What the server tells of changes by itself, if it shall. */
  readonly announcements?: Announcements;
}

/** How a change that was decided on is made. */
interface Application {
  readonly from: 'start' | 'end';
  readonly count: number | 'all';
  readonly fence: Fence | undefined;
  readonly change: Change;
  readonly subject: string | undefined;
}

const ATTEMPTS = 200;
/** Attempts after which a change takes the list away from those who append meanwhile: they need several steps then. */
const PATIENCE = 3;

/**
 * {@link StoreDriver} over Redis. A session's history is a list; every change of it is one Lua script in the slot of
 * the session, or one `RPUSHX` to the list by its name. What a change decides on is read first, with a version, and the
 * script does nothing when the version has moved on: then the decision is made again. Indexes over all sessions live in
 * other slots: they are written before the session, so that nothing stored is missing in them, and what they have too
 * much is found out when it is used.
 */
export function redisDriver(commands: RedisCommands, options: RedisDriverOptions): StoreDriver {
  const { prefix, operationLog, now } = options;
  const ids = `${prefix}:ids`;
  const expiries = `${prefix}:expiries`;
  const births = `${prefix}:births`;
  const subjectKey = (subject: string): string => `${prefix}:subject:${subject}`;
  const indexed = createIndexed();
  options.onConnection(() => indexed.forgetAll());
  const keysOf = (sessionId: string) => sessionKeys(prefix, sessionId);
  const { of: listsOf, onList, range } = listNames(commands, prefix, indexed);

  /**
   * So that the session is found by listings and by the purge. Scores only go down.
   *
   * @param outcome What is known of the call when this fails.
   */
  async function index(
    sessionId: string,
    { birth, expiry, subject }: Entries,
    outcome: Outcome,
  ): Promise<void> {
    if (birth === Infinity) return;
    await Promise.all([
      commands.entry(outcome, 'ZADD', ids, '0', sessionId),
      commands.entry(outcome, 'ZADD', births, 'LT', String(birth), sessionId),
      ...(expiry === Infinity
        ? []
        : [commands.entry(outcome, 'ZADD', expiries, 'LT', String(expiry), sessionId)]),
      ...(subject === undefined
        ? []
        : [commands.entry(outcome, 'ZADD', subjectKey(subject), '0', sessionId)]),
    ]);
  }

  /** What it reads before it writes says nothing of what was written. */
  const append = (batch: Batch): Promise<void> => saying('no', () => appended(batch));

  async function appended({ sessionId, records, subject, mark }: Batch): Promise<void> {
    const entries = entriesOf(records, subject);
    const elements = encodeAppend(records, mark);
    const { items, meta, deks } = keysOf(sessionId);
    const dids = signed(entries.dids, neededDids(records));
    const known = indexed.covers(sessionId, entries);
    if (known !== undefined) {
      if (await pushed(sessionId, items(known), deks, dids, elements)) return;
      indexed.name(sessionId, '');
    }
    const [lists] = await Promise.all([listsOf(sessionId), index(sessionId, entries, 'no')]);
    const settings = [String(mark), sessionId, subject ?? '', String(dids.length), ...dids];
    const answer = await onList(
      sessionId,
      ({ list, items, next, nextItems }) =>
        commands.script(APPEND, [items, nextItems, meta, deks], [list, next, ...settings, ...elements]),
      lists,
    );
    const [state, detail] = (answer as Buffer[]).map(String) as [string, string];
    throwRefusal(sessionId, state, detail);
    await confirm(sessionId, detail, entries);
  }

  /** Whether there still was a list under this key. */
  async function pushed(
    sessionId: string,
    key: string,
    deks: string,
    dids: readonly string[],
    elements: readonly RedisArgument[],
  ): Promise<boolean> {
    if (!dids.some((did) => did.startsWith('+'))) {
      return (await commands.write('RPUSHX', key, ...elements)) !== 0;
    }
    const answer = await commands.script(
      PUSH_KEYED,
      [key, deks],
      [String(dids.length), ...dids, ...elements],
    );
    const [state = '', did = ''] = (answer as Buffer[]).map(String);
    throwRefusal(sessionId, state, did);
    return state === 'ok';
  }

  /**
   * A deletion may have taken the entries since they were written, and a purge may have raised their scores: what comes
   * after the records stays, because either of them looks at the records again at its end.
   */
  async function confirm(sessionId: string, list: string, entries: Entries): Promise<void> {
    indexed.name(sessionId, list);
    await index(sessionId, entries, 'yes');
    if (list !== '') indexed.note(sessionId, list, entries);
  }

  /** @param takes Gives the list another name, so that nobody appends to it with one command for the moment. */
  async function look(
    sessionId: string,
    from: 'start' | 'end',
    count: number,
    operation: string,
    takes = false,
  ): Promise<{
    readonly version: string;
    readonly digest: string;
    readonly length: number;
    readonly records: Buffer[];
  }> {
    const { meta, ops } = keysOf(sessionId);
    let name = '';
    const answer = await onList(sessionId, ({ list, items, next, nextItems }) => {
      name = takes && list !== '' ? next : list;
      const args = [list, takes ? next : '', from, String(count), operation];
      return commands.script(LOOK, [items, nextItems, meta, ops], args, !takes);
    });
    if (takes) indexed.name(sessionId, name);
    const [, version, digest, length, records] = answer as [Buffer, Buffer, Buffer, number, Buffer[]];
    return { version: String(version), digest: String(digest), length, records };
  }

  async function drop(sessionId: string, version = ''): Promise<boolean> {
    const keys = keysOf(sessionId);
    const subject = await commands.read('HGET', keys.meta, 'subject');
    // It is listed, and nothing says where its items are: the server may have lost that.
    const isLost =
      (await commands.read('ZSCORE', ids, sessionId)) !== null &&
      (await commands.read('EXISTS', keys.meta)) === 0;
    const answer = await onList(sessionId, ({ list, items }) =>
      commands.script(
        DROP,
        [items, keys.meta, keys.ops, keys.deks, keys.holds, keys.turn],
        [list, String(now()), version],
      ),
    );
    const [state, detail] = (answer as Buffer[]).map(String);
    if (state === 'held') throw heldError(sessionId, detail as string);
    if (state === 'stale') return false;
    await saying('yes', async () => {
      if (isLost) await removeOrphans(sessionId);
      indexed.name(sessionId, '');
      await forget(sessionId, subject === null ? undefined : textOf(subject));
    });
    return true;
  }

  /** Lists whose name nobody knows any more. */
  async function removeOrphans(sessionId: string): Promise<void> {
    const pattern = `${keysOf(sessionId)
      .items('')
      .replace(/[\\*?[\]^]/g, '\\$&')}*`;
    for await (const key of commands.keysLike(pattern)) {
      const name = key.slice(keysOf(sessionId).items('').length);
      await commands.script(REMOVE_ORPHAN, [key, keysOf(sessionId).meta], [name]);
    }
  }

  /** Takes a session without items out of the indexes; one that got items meanwhile goes back in. */
  async function forget(sessionId: string, subject?: string): Promise<void> {
    await Promise.all(
      [ids, births, expiries, ...(subject === undefined ? [] : [subjectKey(subject)])].map((key) =>
        commands.entry('yes', 'ZREM', key, sessionId),
      ),
    );
    const { records } = await look(sessionId, 'start', -1, '');
    if (records.length === 0) return;
    const owner = await commands.read('HGET', keysOf(sessionId).meta, 'subject');
    const entries = entriesOf(decodeElements(records), owner === null ? undefined : textOf(owner));
    await index(sessionId, entries, 'yes');
  }

  async function apply(
    sessionId: string,
    looked: { readonly version: string; readonly length: number },
    view: View,
    application: Application,
  ): Promise<boolean> {
    const { from, count, fence, change, subject } = application;
    const { remove, insert, operation, archive, mark = newMark() } = change;
    // What was seen is the same whatever was appended since.
    const appends = count === 0 || (from === 'start' && view.records.length === count);
    const lists = await listsOf(sessionId);
    const target = archive === undefined ? undefined : await listsOf(archive.sessionId);
    const stored = new Set(view.records);
    // Those which stay may well be of a destroyed data key.
    const fresh = insert.filter((record) => !stored.has(record));
    const dids = [...didsOf(fresh)];
    const entries = { ...entriesOf(insert, subject), dids };
    const covered = indexed.covers(sessionId, entries) === lists.list;
    if (!covered) await index(sessionId, entries, 'no');
    const archived = { ...entriesOf(archive?.records ?? []), dids: [] };
    if (archive !== undefined) await index(archive.sessionId, archived, 'no');

    const settings = {
      list: lists.list,
      next: lists.next,
      version: appends ? looked.version.split(':')[0] : looked.version,
      appends,
      id: sessionId,
      subject,
      generation: String(mark),
      dids: signed(dids, neededDids(fresh)),
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
      ...(target !== undefined && {
        archive: { id: archive?.sessionId, list: target.list, next: target.next },
      }),
      ...(fence !== undefined && { owner: fence.owner }),
      removes: removes(change, view, count === 'all'),
    };
    const { meta, ops, deks, turn, holds } = keysOf(sessionId);
    const changing = commands.script(
      CHANGE,
      [
        lists.items,
        lists.nextItems,
        meta,
        ops,
        deks,
        turn,
        holds,
        ...archiveKeys(archive?.sessionId, target),
      ],
      [
        JSON.stringify(settings),
        ...encodeAppend(insert, mark),
        ...encodeAppend(archive?.records ?? [], newMark()),
      ],
    );
    const answer = await changing.catch((error: unknown) => {
      if (archive === undefined || operation === undefined || !isCrossSlot(error)) throw error;
      return undefined;
    });
    if (answer === undefined) return await applyApart(sessionId, looked, view, application);
    const [state, detail, name] = (answer as Buffer[]).map(String);
    if (state === 'stale') {
      indexed.name(sessionId, detail as string);
      return false;
    }
    if (archive !== undefined && state === 'moved') {
      indexed.name(archive.sessionId, movedTo(answer) as string);
      return false;
    }
    if (archive !== undefined && state === 'gone') throw lostHistoryError('openRedis', archive.sessionId);
    throwRefusal(sessionId, state as string, detail as string);
    if (state === 'held') throw heldError(sessionId, detail as string);
    if (state === 'lost') throw lostTurnError(sessionId);
    if (!covered) await confirm(sessionId, detail as string, entries);
    if (archive !== undefined) await confirm(archive.sessionId, name as string, archived);
    return true;
  }

  /**
   * The archive is in another slot of a cluster, where the same script cannot reach it: it is written first, once for each
   * operation. Whoever dies in between leaves the records in both, and completes it by repeating the operation.
   */
  async function applyApart(
    sessionId: string,
    looked: { readonly version: string; readonly length: number },
    view: View,
    application: Application,
  ): Promise<boolean> {
    const { archive, ...change } = application.change;
    const { key = '', digest = '' } = change.operation ?? {};
    // What would be refused must not be in the archive.
    const [hold] = (await commands.read('HKEYS', keysOf(sessionId).holds)) as Buffer[];
    if (hold !== undefined) throw heldError(sessionId, hold.toString());
    if ((await versionOf(sessionId))[0] !== looked.version) return false;
    const logged = { key: `archive ${key} of ${sessionId}`, digest };
    await changeSession(
      archive?.sessionId as string,
      { records: 0, operation: logged.key },
      ({ operation }) =>
        operation === undefined
          ? { remove: 'none', insert: archive?.records ?? [], operation: logged }
          : undefined,
    );
    try {
      return await apply(sessionId, looked, view, { ...application, change });
    } catch (error) {
      // The archive has them.
      throw isStrongroomError(error) && error.written !== 'yes' ? withOutcome(error, 'unknown') : error;
    }
  }

  function archiveKeys(sessionId: string | undefined, lists: Lists | undefined): string[] {
    if (sessionId === undefined || lists === undefined) return [];
    return [lists.items, lists.nextItems, keysOf(sessionId).meta];
  }

  /** The version, and the marks of the elements at these places, counted from the end. */
  async function versionOf(
    sessionId: string,
    places: readonly number[] = [],
  ): Promise<[version: string, ...marks: string[]]> {
    const { meta } = keysOf(sessionId);
    const answer = await onList(sessionId, ({ list, items }) =>
      commands.script(VERSION, [items, meta], [list, ...places.map((place) => String(-1 - place))], true),
    );
    return (answer as unknown[]).map(textOf) as [string, ...string[]];
  }

  async function summary(id: string, subject: string): Promise<SessionSummary | undefined> {
    const { meta } = keysOf(id);
    const answer = await onList(id, ({ list, items }) =>
      commands.script(STATS, [items, meta], [list, subject], true),
    );
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
    const { meta, ops, holds } = keysOf(id);
    let total = 0;
    for (;;) {
      const [expiryBefore, birthBefore] = await Promise.all([
        commands.read('ZSCORE', expiries, id),
        commands.read('ZSCORE', births, id),
      ]);
      let name = '';
      const answer = await onList(id, ({ list, items, next, nextItems }) => {
        name = next;
        const cutoff = before === undefined ? '' : String(before);
        return commands.script(
          PURGE,
          [items, nextItems, meta, ops, holds],
          [list, next, String(at), cutoff, String(most - total), String(newMark())],
        );
      });
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
      indexed.name(id, left === 0 ? '' : name);
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
      const same = (await versionOf(id))[0] === String(version);
      if (same || more === 1) return { gone: total, more: more === 1 };
    }
  }

  const changeSession: StoreDriver['change'] = async (
    sessionId,
    { records: count, from = 'end', operation = '', fence },
    decide,
    subject,
  ) => {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      if (attempt > PATIENCE) await outOfStep(attempt);
      const looked = await saying('no', () =>
        look(sessionId, from, count === 'all' ? -1 : count, operation, attempt >= PATIENCE),
      );
      const view: View = {
        records: decodeElements(looked.records),
        ...(looked.digest !== '' && { operation: looked.digest }),
      };
      const change = await decide(view);
      if (change === undefined) return;
      const done = await saying('no', () =>
        change.drop
          ? drop(sessionId, looked.version)
          : apply(sessionId, looked, view, { from, count, fence, change, subject }),
      );
      if (done) return;
    }
    throw new StrongroomError(
      'ERR_CONFLICT',
      `Other writers changed session ${JSON.stringify(sessionId)} ${ATTEMPTS} times in a row. Nothing was changed; try again.`,
    );
  };

  return {
    name: 'openRedis',

    async read(sessionId, count) {
      return decodeElements(await range(sessionId, count));
    },

    append,

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

    change: changeSession,

    async version(sessionId, since) {
      const places = since === undefined ? [] : placesOf(since);
      const [version, ...marks] = await versionOf(sessionId, places);
      return { version, follows: since !== undefined && follows(since, version, marks) };
    },

    ...(options.announcements !== undefined && { announcements: options.announcements }),

    async applied(sessionId, operationKey) {
      return (await commands.read('HEXISTS', keysOf(sessionId).ops, operationKey)) === 1;
    },

    dekStore: redisDekStore(commands, { prefix, now, keysOf, onList }),

    async summaries(after, count, subject) {
      const key = subject === undefined ? ids : subjectKey(subject);
      const found: SessionSummary[] = [];
      let start = after === undefined ? '-' : `(${after}`;
      for (;;) {
        const range = await commands.read('ZRANGEBYLEX', key, start, '+', 'LIMIT', '0', String(count));
        const page = (range as Buffer[]).map(String);
        const summaries = await Promise.all(
          page.map((id) => unlessLost(summary(id, subject ?? ''), undefined)),
        );
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
            const { gone, more } = await unlessLost(
              purgeSession(id, writtenBefore, at, batch - sessions.length),
              {
                gone: 0,
                more: false,
              },
            );
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
        if ((await commands.read('HLEN', keysOf(id).holds)) !== 0) continue;
        const records = decodeElements(await unlessLost(range(id), []));
        const items = records.filter(
          ({ expiresAt, bornAt, writtenAt }) =>
            (expiresAt !== null && expiresAt <= at) ||
            (writtenBefore !== undefined && (bornAt ?? writtenAt) <= writtenBefore),
        ).length;
        if (items > 0) found.push({ id, items });
      }
      return found;
    },

    leases: redisLeases(prefix, commands),

    async reference() {
      const [seconds, microseconds] = (await commands.read('TIME')) as unknown[];
      const time = Number(textOf(seconds)) * 1_000 + Math.floor(Number(textOf(microseconds)) / 1_000);
      return { time, of: 'the clock of the database', bound: SERVER_BOUND };
    },

    deleteSession: async (sessionId) => void (await saying('no', () => drop(sessionId))),
    async ping() {
      await commands.readEach('PING');
      await options.check();
    },
    close: options.close,
  };
}

/** A cluster refused it because of where its keys are, and did nothing. */
function isCrossSlot(error: unknown): boolean {
  const { cause } = error as { readonly cause?: unknown };
  return cause instanceof Error && cause.message.startsWith('CROSSSLOT');
}

/** What goes over all sessions does not stop at one that was lost: whoever asks for that one is told. */
async function unlessLost<T, E>(work: Promise<T>, otherwise: E): Promise<T | E> {
  try {
    return await work;
  } catch (error) {
    if (isLostHistory(error)) return otherwise;
    throw error;
  }
}

/** As the scripts want them: `+` before those that must be here. */
function signed(dids: readonly string[], needed: ReadonlySet<string>): string[] {
  return dids.map((did) => (needed.has(did) ? `+${did}` : `-${did}`));
}

const REFUSALS: Readonly<Record<string, KeyProblem['problem']>> = { destroyed: 'destroyed', missing: 'lost' };

/** @throws {@link StrongroomError} when a script answered that a data key is not there. */
function throwRefusal(sessionId: string, state: string, did: string): void {
  if (state === 'owned') throw subjectError(sessionId);
  const problem = REFUSALS[state];
  if (problem !== undefined) throw keyError(sessionId, { did, problem });
}

/** Where the last elements of these appends are, counted from the end, the newest first; then where the one before them is. */
function placesOf({ steps }: Since): number[] {
  let place = 0;
  return steps.length === 0 ? [] : [0, ...steps.toReversed().map(({ records }) => (place += records))];
}

/**
 * Whether the list has grown by these appends and by nothing else. Each of them is found in its place, and so is the element
 * before them: a list that lost its end and grew again to this length has others there.
 *
 * @param marks What is at {@link placesOf}.
 */
function follows({ version: before, steps }: Since, now: string, marks: readonly string[]): boolean {
  const [first] = steps;
  if (first === undefined) return now === before;
  const [generationBefore, lengthBefore, markBefore = ''] = before.split(':');
  const [generation, length] = now.split(':');
  const grown = steps.reduce((sum, { records }) => sum + records, Number(lengthBefore));
  // The first append made the session.
  const made = generationBefore === '0' && generation === String(first.mark);
  const expected = [...steps.toReversed().map(({ mark }) => String(mark)), markBefore];
  return (
    (generation === generationBefore || made) &&
    Number(length) === grown &&
    expected.every((mark, index) => mark === marks[index])
  );
}

function entriesOf(records: readonly StoredRecord[], subject?: string): Entries {
  const { birth, expiry } = firstTimes(records);
  return { birth: birth ?? Infinity, expiry: expiry ?? Infinity, subject, dids: [...didsOf(records)] };
}
