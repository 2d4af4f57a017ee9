import { LRUCache } from 'lru-cache';
import type { HistoryVersion, MaybePromise, VersionAnswer, VersionSource } from '../layer.ts';
import { after } from '../maybe-promise.ts';
import type { StoreDriver } from './driver.ts';
import type { Since } from './marks.ts';

/** Sessions whose version is kept in memory; for others it is queried. */
const MOST = 10_000;

/**
 * Versions of histories. While the database announces changes by itself, an answer is kept until a change is announced,
 * so that it is not queried again before a change. The content of an announcement is never trusted: it only causes
 * a query.
 */
export function createVersions(
  driver: Pick<StoreDriver, 'announcements' | 'version'>,
): (sessionId: string) => Omit<VersionSource, 'stepOf'> {
  interface Kept {
    /** The name under which its changes are announced. */
    readonly name: string;
    version?: HistoryVersion;
  }
  const ids = new Map<string, string>();
  const kept = new LRUCache<string, Kept>({
    max: MOST,
    dispose: ({ name }, _, reason) => {
      if (reason !== 'set') ids.delete(name);
    },
  });
  /** While changes are announced. */
  let nameOf: ((sessionId: string) => string) | undefined;
  let listening = false;

  /** Not before the first query: a store connects at its first use. */
  function listen(): void {
    if (listening) return;
    listening = true;
    driver.announcements?.listen({
      live(names) {
        nameOf = names;
        kept.clear();
      },
      changed(name) {
        const sessionId = ids.get(name);
        if (sessionId !== undefined) kept.set(sessionId, { name });
      },
    });
  }

  function ask(sessionId: string, since?: Since): MaybePromise<VersionAnswer> {
    listen();
    // An announcement during the query replaces this entry, so that an outdated answer is not kept.
    const name = kept.get(sessionId)?.name ?? nameOf?.(sessionId);
    const asked = name === undefined ? undefined : { name };
    if (asked !== undefined) {
      kept.set(sessionId, asked);
      ids.set(asked.name, sessionId);
    }
    const answer = driver.version(sessionId, since);
    if (asked === undefined) return answer;
    return after(answer, ({ version, follows }) => {
      if (kept.get(sessionId) === asked) kept.set(sessionId, { ...asked, version });
      return { version, follows };
    });
  }

  return (sessionId) => ({
    known: () => kept.get(sessionId)?.version,
    read: () => after(ask(sessionId), ({ version }) => version),
    compare: (version, steps) => ask(sessionId, { version, steps }),
  });
}
