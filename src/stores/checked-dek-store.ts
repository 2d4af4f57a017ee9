import { checkDek, checkHold, checkWrapped, type DekStore, type HoldStore } from '../keys/dek-store.ts';
import { checkText, MAX_BYTES } from '../limits.ts';

/** A DEK store of a database that refuses invalid records, and every call after it was closed. */
export function checkedDekStore(
  name: string,
  dekStore: DekStore & { readonly holds: HoldStore },
  assertOpen: () => void,
): DekStore & { readonly holds: HoldStore } {
  const { holds } = dekStore;
  return {
    async put(record) {
      assertOpen();
      checkDek(name, record);
      return await dekStore.put(record);
    },
    async get(sessionId, did) {
      assertOpen();
      return await dekStore.get(sessionId, did);
    },
    async *list(filter) {
      assertOpen();
      yield* dekStore.list(filter);
    },
    async replaceWrapped(sessionId, did, expected, next) {
      assertOpen();
      checkWrapped(name, next);
      return await dekStore.replaceWrapped(sessionId, did, expected, next);
    },
    async destroy(sessionId, did) {
      assertOpen();
      return await dekStore.destroy(sessionId, did);
    },
    holds: {
      async place(hold) {
        assertOpen();
        checkHold(name, hold);
        return await holds.place(hold);
      },
      async release(id, releasedAt, releasedBy) {
        assertOpen();
        if (releasedBy !== undefined) checkText(name, 'by', releasedBy, MAX_BYTES.by);
        return await holds.release(id, releasedAt, releasedBy);
      },
      async list(filter) {
        assertOpen();
        return await holds.list(filter);
      },
    },
  };
}
