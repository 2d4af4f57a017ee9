import type { DekRecord, DekStore } from '../../keys/dek-store.ts';
import type { StoredRecord } from '../../stores/driver.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import { UNREADABLE_TIME } from '../../stores/record.ts';
import type { KeyPlaces } from '../key-places.ts';
import { isMadeAnew } from './made-anew.ts';
import type { Erasure, NeededKeys, Orphan } from './report.ts';

/*
 * Searches for the rest of erased sessions. It shares no code with the erasure, not even the parser of ids, so that
 * a mistake in one is detected by the other.
 */

/** Where to look. */
interface Places {
  readonly maintenance: Maintenance;
  readonly places: Pick<KeyPlaces, 'stores'>;
}

/** What a search finds. */
export interface Rests {
  readonly orphans: readonly Orphan[];
  readonly needed: readonly NeededKeys[];
}

/**
 * Searches by the id of each session, by their conversations, by the subject, and by the data keys of all of them.
 *
 * @param since Records that were written later are not a rest: the id is in use again. Absent right after the
 * erasure.
 */
export async function lookForRests(
  { maintenance, places }: Places,
  { sessions, held, subject }: Pick<Erasure, 'sessions' | 'held' | 'subject'>,
  since?: number,
): Promise<Rests> {
  const orphans = new Map<string, Orphan>();
  const note = (sessionId: string, what: Orphan['what'], count: number): void => {
    const name = `${what} ${sessionId}`;
    const before = orphans.get(name)?.count ?? 0;
    orphans.set(name, { sessionId, kind: kindOf(sessionId), what, count: before + count });
  };
  const isKept = (id: string): boolean => held.some((each) => belongsTo(id, each));
  const erased = new Set(sessions.map(({ id }) => id));
  const empty = new Set(sessions.filter((session) => session.records === 0).map(({ id }) => id));
  const tops = [...erased].filter((id) => kindOf(id) === 'conversation');

  const known = new Set(erased);
  for (const top of tops) for (const id of await maintenance.derived(top)) known.add(id);
  const owned = subject === undefined ? [] : await maintenance.ofSubject(subject);
  for (const id of owned) known.add(id);
  for (const id of known) {
    if (isKept(id)) continue;
    const records = await maintenance.records(id);
    const old = records.filter((record) => isOld(record, since));
    if (old.length > 0) {
      const isAlone = since !== undefined && !tops.some((top) => belongsTo(id, top));
      if (!isAlone || !(await isMadeAnew(maintenance, id, records, since))) note(id, 'records', old.length);
    } else if (records.length === 0 && since === undefined) {
      if (!erased.has(id) || owned.includes(id)) note(id, 'session', 1);
      // A row has no time. One that had no records when it was erased can have come back as it was.
    } else if (records.length === 0 && owned.includes(id) && empty.has(id)) note(id, 'session', 1);
  }
  const needed = new Map<string, number>();
  const isNeeded = neededBy(maintenance, erased);
  for (const store of places.stores) {
    for await (const { sessionId, did, createdAt, wrapped } of keysIn(store, known)) {
      // The mark of an erasure that was interrupted is no key.
      if (wrapped === 'erased') continue;
      const isWithTop = tops.some((top) => belongsTo(sessionId, top));
      const isOfThem = known.has(sessionId) || isWithTop;
      if (!isOfThem || isKept(sessionId) || (since !== undefined && createdAt > since)) continue;
      // With its conversation, all that could need it was erased.
      if (!isWithTop && (await isNeeded(sessionId, did)))
        needed.set(sessionId, (needed.get(sessionId) ?? 0) + 1);
      else note(sessionId, 'key', 1);
    }
  }
  return {
    orphans: [...orphans.values()],
    needed: Array.from(needed, ([sessionId, count]) => ({ sessionId, count })),
  };
}

/** Tells whether a record that a history of the same conversation still has was sealed under this key of a session. */
function neededBy(
  maintenance: Maintenance,
  erased: ReadonlySet<string>,
): (sessionId: string, did: string) => Promise<boolean> {
  const keysOf = new Map<string, Promise<ReadonlySet<string>>>();
  async function read(top: string): Promise<ReadonlySet<string>> {
    const names = new Set<string>();
    for (const id of [top, ...(await maintenance.derived(top))]) {
      if (erased.has(id)) continue;
      for (const { origin, did } of await maintenance.records(id))
        if (origin !== undefined && typeof did === 'string') names.add(nameOf(origin, did));
    }
    return names;
  }
  return async (sessionId, did) => {
    const top = topOf(sessionId);
    let keys = keysOf.get(top);
    if (keys === undefined) keysOf.set(top, (keys = read(top)));
    return (await keys).has(nameOf(sessionId, did));
  };
}

/** Ids of data keys have no space. */
function nameOf(sessionId: string, did: string): string {
  return `${did} ${sessionId}`;
}

/** All keys of the store; for one that cannot list them, those of the known sessions. */
async function* keysIn(store: DekStore, known: ReadonlySet<string>): AsyncGenerator<DekRecord> {
  try {
    yield* store.list();
    return;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_UNSUPPORTED') throw error;
  }
  for (const sessionId of known) yield* store.list({ sessionId });
}

/** A record whose time is unreadable may be old. */
function isOld({ writtenAt }: StoredRecord, since: number | undefined): boolean {
  return since === undefined || writtenAt <= since || writtenAt >= UNREADABLE_TIME;
}

/** What stands before the parent in a derived id. */
const DERIVED = /^~[a-z]{1,16}~[^~]*~/;

/** The session that a derived one belongs to at last; another one itself. */
function topOf(id: string): string {
  const [before = ''] = DERIVED.exec(id) ?? [];
  return before === '' ? id : topOf(id.slice(before.length));
}

/** Whether it is this session, or one derived from it: `~vault~~a~b` is derived from `a~b` and not from `b`. */
function belongsTo(id: string, session: string): boolean {
  for (let rest = id; ;) {
    if (rest === session) return true;
    const [before = ''] = DERIVED.exec(rest) ?? [];
    if (before === '') return false;
    rest = rest.slice(before.length);
  }
}

function kindOf(id: string): string {
  const [before, kind = '', ...rest] = id.split('~');
  return before === '' && /^[a-z]{1,16}$/.test(kind) && rest.length > 1 ? kind : 'conversation';
}
