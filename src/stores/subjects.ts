import type { BoundedMap } from '../bounded-map.ts';
import { isReserved, rootOf } from '../derived-id.ts';
import type { MaybePromise } from '../layer.ts';
import type { Claim, StoreDriver } from './driver.ts';
import { isSubjectError, subjectError } from './failure.ts';

/** What this process knows of subjects. */
export interface KnownSubjects {
  /** The subjects that conversations were opened with. */
  readonly given: BoundedMap<string>;
  /** This process removed the session. Who opens it next begins it, and the earlier subject does not bind it. */
  readonly removed: (id: string) => void;
}

/**
 * Gives what is derived from a conversation the subject that the conversation was opened with here: it can be written first,
 * and alone. The database decides whether that counts, see {@link Claim}.
 */
export function withSubjects(driver: StoreDriver, { given, removed }: KnownSubjects): StoreDriver {
  /** @param write Called again without the presumed subject when another process was faster with another one. */
  async function presuming(
    id: string,
    presumed: string,
    write: (presumed?: string) => Promise<void>,
  ): Promise<void> {
    try {
      await write(presumed);
    } catch (error) {
      if (!isSubjectError(error)) throw error;
      if (given.get(rootOf(id)) === presumed) given.delete(rootOf(id));
      await write();
    }
  }
  const presumedOf = (id: string, { subject }: Claim): string | undefined =>
    subject === undefined && isReserved(id) ? given.get(rootOf(id)) : undefined;
  return {
    ...driver,
    append(batch) {
      const presumption = presumedOf(batch.sessionId, batch);
      if (presumption === undefined) return driver.append(batch);
      return presuming(batch.sessionId, presumption, (presumed) => driver.append({ ...batch, presumed }));
    },
    change(id, look, decide, claim = {}) {
      const presumption = presumedOf(id, claim);
      if (presumption === undefined) return driver.change(id, look, decide, claim);
      return presuming(id, presumption, (presumed) => driver.change(id, look, decide, { presumed }));
    },
    async deleteSession(id) {
      await driver.deleteSession(id);
      removed(id);
    },
  };
}

/**
 * The driver for a session that is opened with another subject than this process remembers. The database decides: writes
 * check the subject themselves, the rest is refused while the database says what the process remembers.
 *
 * @param taken Called once, when the database has the session under the new subject.
 */
export function contesting(
  driver: StoreDriver,
  { id, subject, remembered }: { readonly id: string; readonly subject: string; readonly remembered: string },
  taken: () => void,
): StoreDriver {
  let isTaken = false;
  const isOf = async (owner: string): Promise<boolean> => (await driver.ofSubject(owner)).includes(id);
  const take = (): void => {
    if (!isTaken) taken();
    isTaken = true;
  };
  const checked =
    <A extends unknown[], R>(call: (...args: A) => MaybePromise<R>): ((...args: A) => MaybePromise<R>) =>
    (...args) =>
      isTaken ? call(...args) : refusedOr(() => call(...args));
  async function refusedOr<R>(call: () => MaybePromise<R>): Promise<R> {
    if (await isOf(remembered)) throw subjectError(id);
    return call();
  }
  const { dekStore } = driver;
  return {
    ...driver,
    dekStore: {
      ...dekStore,
      put: async (record) => checked(() => dekStore.put(record))(),
      destroy: async (sessionId, did) => checked(() => dekStore.destroy(sessionId, did))(),
    },
    read: checked(driver.read),
    async append(batch) {
      await driver.append(batch);
      take();
    },
    async change(sessionId, look, decide, claim) {
      await driver.change(sessionId, look, decide, claim);
      // It can have changed nothing.
      if (!isTaken && (await isOf(subject))) take();
    },
    version: checked(driver.version),
    applied: async (sessionId, operation) => checked(driver.applied)(sessionId, operation),
  };
}
