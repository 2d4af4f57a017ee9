/** The conditions under which some records may be pushed to a list without another check. */
export interface Entries {
  /** The index by age has this score or a lower one: the earliest birth, in Unix milliseconds; `Infinity` without records. */
  readonly birth: number;
  /** The index by expiry, likewise; `Infinity` when none expires. */
  readonly expiry: number;
  /** The subject of the session, under which it is listed. */
  readonly subject: string | undefined;
  /** Data keys that are not destroyed. */
  readonly dids: readonly string[];
  /** The keys of the session last so long at least, in Unix milliseconds; `Infinity` when one of them never expires. */
  readonly latest: number;
}

/**
 * The state of this process for sessions: the names of their lists, and the conditions that hold as long as a list
 * has its name.
 */
export interface Indexed {
  /** The last known name of the list. */
  list(sessionId: string): string | undefined;
  /** The name of the list to which records with these entries can be pushed, if there still is one of that name. */
  covers(sessionId: string, entries: Entries): string | undefined;
  /** Until when the keys last at least, as far as this process knows. */
  lasts(sessionId: string): number;
  /** They were made to last so long, while the list had this name. */
  raise(sessionId: string, list: string, latest: number): void;
  /** The list has this name; `''`: the session has none. */
  name(sessionId: string, list: string): void;
  /** The server may be another one, or the same in an earlier state. */
  forgetAll(): void;
  /** The entries hold for the list of this name. */
  note(sessionId: string, list: string, entries: Entries): void;
}

/**
 * Every change that could make an entry wrong renames the list first: a purge before it raises a score, a deletion,
 * another owner, the destruction of a data key. So a push by name needs no check of them.
 *
 * @param limit Sessions that are remembered; the oldest is dropped first. @param trust Milliseconds after which
 * entries are written again: a failover can lose an index entry, and the session does not show it.
 */
export function createIndexed(
  limit = 10_000,
  trust = 60_000,
  now: () => number = () => performance.now(),
): Indexed {
  interface Known {
    readonly list: string;
    readonly entries?: Entries;
    readonly until?: number;
    latest?: number;
  }
  const sessions = new Map<string, Known>();
  function remember(sessionId: string, known: Known): void {
    sessions.delete(sessionId);
    sessions.set(sessionId, known);
    if (sessions.size > limit) sessions.delete(sessions.keys().next().value as string);
  }
  return {
    list: (sessionId) => sessions.get(sessionId)?.list,
    covers(sessionId, { birth, expiry, subject, dids }) {
      const { list, entries, until = 0 } = sessions.get(sessionId) ?? {};
      const covers =
        entries !== undefined &&
        entries.birth <= birth &&
        entries.expiry <= expiry &&
        entries.subject === subject &&
        dids.every((did) => entries.dids.includes(did)) &&
        now() < until;
      return covers ? list : undefined;
    },
    lasts: (sessionId) => sessions.get(sessionId)?.latest ?? Number.NEGATIVE_INFINITY,
    raise(sessionId, list, latest) {
      const known = sessions.get(sessionId);
      if (known?.list === list) known.latest = Math.max(latest, known.latest ?? latest);
    },
    name(sessionId, list) {
      if (list === '') sessions.delete(sessionId);
      else if (sessions.get(sessionId)?.list !== list) remember(sessionId, { list });
    },
    forgetAll: () => sessions.clear(),
    note(sessionId, list, entries) {
      const known = sessions.get(sessionId);
      const before = known?.list === list ? known.latest : undefined;
      const latest = Math.max(entries.latest, before ?? entries.latest);
      remember(sessionId, { list, entries, until: now() + trust, latest });
    },
  };
}
