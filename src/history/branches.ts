import type { Session } from '@openai/agents';
import { derivedId, openDerived, parseDerivedId } from '../derived-id.ts';
import { StrongroomError } from '../errors.ts';
import { invalidOption } from '../options.ts';
import { expiringLayer } from './replace-oldest.ts';
import { rewindIndex, type RewindTarget } from './rewind.ts';

/** What {@link branches} needs of a store; every store of ours has it, wrapped or not. */
export interface BranchStore {
  session(id: string): Session;
  sessions(options?: { readonly derived?: boolean }): AsyncIterable<{ readonly id: string }>;
  deleteSession(id: string, options?: { readonly derived?: boolean }): Promise<unknown>;
}

/** The branches of one conversation. */
export interface Branches {
  /**
   * Copies the conversation, or its part up to a point, into a new branch.
   *
   * @throws StrongroomError `ERR_CONFLICT` when a branch of this name has items already.
   */
  create(name: string, from?: RewindTarget): Promise<Session>;
  /** The session of a branch; an empty session if the branch was not created. */
  session(name: string): Session;
  /** Names of the branches that have items. On a wrapped store this is a call `sessions` on the whole store. */
  list(): Promise<string[]>;
  /** Deletes a branch; the conversation that it came from stays. */
  delete(name: string): Promise<void>;
}

/**
 * Branches of a conversation in a store: copies of its beginning under ids of their own, `~branch~<name>~<id>`. Refused
 * for sessions with `expire()`: a copy would begin a new life and outlive the policy.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` under `expire()`.
 *
 * @example
 * ```ts
 * import type { Session } from '@openai/agents';
 * import { branches } from 'strongroom/history';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const store = openSqlite('conversations.db');
 *
 * export const tryAgain = (id: string): Promise<Session> =>
 *   branches(store, id).create('second-try', { turns: 3 });
 * ```
 */
export function branches(store: BranchStore, id: string): Branches {
  const where = 'branches()';
  if (typeof store !== 'object' || store === null || typeof store.session !== 'function') {
    invalidOption(where, 'store', 'a store', store);
  }
  if (typeof id !== 'string' || id === '') invalidOption(where, 'id', 'the id of a session', id);
  const idOf = (name: string): string => {
    if (typeof name !== 'string' || name === '' || name.includes('~')) {
      return invalidOption(where, 'name', 'a non-empty string without ~', name);
    }
    return derivedId({ kind: 'branch', of: id, name });
  };
  const sessionOf = (name: string): Session => openDerived(idOf(name), (branch) => store.session(branch));
  return {
    async create(name: string, from?: RewindTarget): Promise<Session> {
      const source = store.session(id);
      const branch = sessionOf(name);
      const layer = expiringLayer(source) ?? expiringLayer(branch);
      if (layer !== undefined) {
        throw new StrongroomError(
          'ERR_UNSUPPORTED',
          `${where}: the session has ${layer}(), and copies in a branch would be kept longer than the originals. Branch a session without ${layer}().`,
        );
      }
      if ((await branch.getItems(1)).length > 0) {
        throw new StrongroomError(
          'ERR_CONFLICT',
          `${where}: the branch ${JSON.stringify(name)} already has items. Delete it first, or choose another name.`,
        );
      }
      const items = await source.getItems();
      const copied = items.slice(0, from === undefined ? items.length : rewindIndex(where, items, from));
      if (copied.length > 0) await branch.addItems(copied);
      return branch;
    },
    session: sessionOf,
    async list(): Promise<string[]> {
      const names: string[] = [];
      for await (const session of store.sessions({ derived: true })) {
        const { kind, of, name } = parseDerivedId(session.id) ?? {};
        if (kind === 'branch' && of === id && name !== undefined) names.push(name);
      }
      return names.toSorted();
    },
    async delete(name: string): Promise<void> {
      await store.deleteSession(idOf(name), { derived: true });
    },
  };
}
