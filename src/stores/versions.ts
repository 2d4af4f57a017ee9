import { LRUCache } from 'lru-cache';
import type { HistoryVersion, VersionSource } from '../layer.ts';
import type { StoreDriver } from './driver.ts';

/** Under this symbol a session of a store tells how far its history has come. */
export const VERSION: unique symbol = Symbol.for('strongroom.version') as never;

/** Sessions whose version is kept in memory; of others it is asked for. */
const MOST = 10_000;

/**
 * Versions of histories. What the database announces by itself is kept for the sessions that were asked for, so that
 * nobody asks again before something changed.
 */
export function createVersions(driver: StoreDriver): (sessionId: string) => VersionSource {
  const kept = new LRUCache<string, { version?: HistoryVersion }>({ max: MOST });
  let live = false;
  let listening = false;

  /** Not before somebody wants to know: a store connects when it is used. */
  function listen(): void {
    if (listening) return;
    listening = true;
    driver.announcements?.listen({
      live(now) {
        live = now;
        kept.clear();
      },
      changed(sessionId, version) {
        const before = kept.get(sessionId);
        if (before === undefined || isOlder(version, before.version)) return;
        if (version === undefined) kept.delete(sessionId);
        else kept.set(sessionId, { version });
      },
    });
  }

  return (sessionId) => ({
    known: () => kept.get(sessionId)?.version,
    async read() {
      listen();
      // Whatever is announced while the answer is under way takes the place of this, so that an old answer is not kept.
      const asked: { version?: HistoryVersion } = {};
      if (live) kept.set(sessionId, asked);
      const version = await driver.version(sessionId);
      if (kept.get(sessionId) === asked) asked.version = version;
      return version;
    },
  });
}

/** An announcement that comes late: within a generation a history only grows. */
function isOlder(version: HistoryVersion | undefined, than: HistoryVersion | undefined): boolean {
  return (
    version !== undefined &&
    than !== undefined &&
    version.generation === than.generation &&
    version.end < than.end
  );
}
