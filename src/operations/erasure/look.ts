import type { DekRecord, DekStore } from '../../keys/dek-store.ts';
import type { StoredRecord } from '../../stores/driver.ts';
import type { Maintenance } from '../../stores/maintenance.ts';
import type { KeyPlaces } from '../key-places.ts';
import type { Erasure, Orphan } from './report.ts';

/*
 * Looks for what is left of erased sessions. It shares no code with what erases them, not even what takes ids apart: a mistake in
 * one must not hide in the other.
 */

/** Where to look. */
interface Places {
  readonly maintenance: Maintenance;
  readonly places: Pick<KeyPlaces, 'stores'>;
}

/**
 * By the id of each session, by the conversations that they belonged to, by the subject, and by the data keys of all of them.
 *
 * @param since What was written later is no rest: the id is in use again. Absent right after the erasure.
 */
export async function lookForRests(
  { maintenance, places }: Places,
  { sessions, held, subject }: Pick<Erasure, 'sessions' | 'held' | 'subject'>,
  since?: number,
): Promise<Orphan[]> {
  const orphans = new Map<string, Orphan>();
  const note = (sessionId: string, what: Orphan['what'], count: number): void => {
    const name = `${what} ${sessionId}`;
    const before = orphans.get(name)?.count ?? 0;
    orphans.set(name, { sessionId, kind: kindOf(sessionId), what, count: before + count });
  };
  const isKept = (id: string): boolean => held.some((each) => belongsTo(id, each));
  const erased = new Set(sessions.map(({ id }) => id));
  const tops = [...erased].filter((id) => kindOf(id) === 'conversation');

  const known = new Set(erased);
  for (const top of tops) for (const id of await maintenance.derived(top)) known.add(id);
  const owned = subject === undefined ? [] : await maintenance.ofSubject(subject);
  for (const id of owned) known.add(id);
  for (const id of known) {
    if (isKept(id)) continue;
    const records = await maintenance.records(id);
    const old = records.filter((record) => isOld(record, since));
    if (old.length > 0) note(id, 'records', old.length);
    else if (records.length === 0 && since === undefined && !erased.has(id)) note(id, 'session', 1);
    else if (records.length === 0 && owned.includes(id)) note(id, 'session', 1);
  }
  for (const store of places.stores) {
    for await (const { sessionId, createdAt } of keysIn(store, known)) {
      const isOfThem = known.has(sessionId) || tops.some((top) => belongsTo(sessionId, top));
      if (isOfThem && !isKept(sessionId) && (since === undefined || createdAt <= since)) {
        note(sessionId, 'key', 1);
      }
    }
  }
  return [...orphans.values()];
}

/** All keys of the store; of one that cannot list them, those of the sessions that are known. */
async function* keysIn(store: DekStore, known: ReadonlySet<string>): AsyncGenerator<DekRecord> {
  try {
    yield* store.list();
    return;
  } catch (error) {
    if ((error as { readonly code?: unknown }).code !== 'ERR_UNSUPPORTED') throw error;
  }
  for (const sessionId of known) yield* store.list({ sessionId });
}

/** A record whose time is unreadable has the last one of a `Date`. */
function isOld({ writtenAt }: StoredRecord, since: number | undefined): boolean {
  return since === undefined || writtenAt <= since || writtenAt >= 8.64e15;
}

/** Whether it is this session, or stands in a derived id after what that begins with. */
function belongsTo(id: string, session: string): boolean {
  return id === session || (id.startsWith('~') && id.endsWith(`~${session}`));
}

function kindOf(id: string): string {
  const [before, kind = '', ...rest] = id.split('~');
  return before === '' && /^[a-z]{1,16}$/.test(kind) && rest.length > 1 ? kind : 'conversation';
}
