import type { AgentInputItem, Session } from '@openai/agents';
import { randomName } from '../crypto/random.ts';
import { defined } from '../defined.ts';
import type { CallOrigin } from '../layer.ts';
import { invalidOption } from '../options.ts';
import { itemKey } from '../protocol/item.ts';
import { CALLS, COPY, type CopyBeginning } from '../session-contract.ts';
import { isCurrent, mayBeWritten, missing, taken, unsupported, WHERE } from './branches/errors.ts';
import { followerOf } from './branches/follow.ts';
import { isWhole, parsePoint, startsOf, type BranchPoint } from './branches/point.ts';
import { pageOf } from './page.ts';
import { createRegister, type BranchStore, type Register } from './branches/register.ts';
import { MAIN, type BranchState } from './branches/state.ts';

export type { BranchPoint, BranchStore };

/** The point where a branch begins, and the caller. */
export interface CreateBranchOptions extends BranchPoint, CallOrigin {
  /** The branch that it is made from. Default: the current one. */
  readonly from?: string;
}

/** Options of {@link Branches.delete}. */
export interface DeleteBranchOptions extends CallOrigin {
  /** Deletes the branch also when it is the current one; `main` is current then. Default `false`. */
  readonly force?: boolean;
}

/** One branch in {@link Branches.list}. */
export interface BranchInfo {
  /** `'main'` for the conversation itself. */
  readonly name: string;
  readonly current: boolean;
  /** How many items its session shows. */
  readonly items: number;
  /** How many of them are messages of a user. */
  readonly turns: number;
  /** When it was made, in Unix milliseconds; absent for `main`, and for a branch of an earlier version. */
  readonly created?: number;
  /** The branch that it was made from; absent as `created` is. */
  readonly from?: string;
}

/** How two branches differ. */
export interface BranchComparison {
  /** How many items both begin with. */
  readonly items: number;
  /** How many turns begin among them. */
  readonly turns: number;
  /** The items of only the first, from there on. */
  readonly first: readonly AgentInputItem[];
  /** The items of only the second. */
  readonly second: readonly AgentInputItem[];
}

/** The branches of one conversation. */
export interface Branches {
  /**
   * Makes a branch that begins with the current one, or with its part up to a point, in one transaction. It shares the
   * records where the store and the layers can do that, without opening them when no point is given; else each is
   * copied with its times (in Redis Cluster in two steps). Either way they expire and are purged with the original.
   * Does not switch.
   *
   * @throws StrongroomError `ERR_CONFLICT` when there is a branch of this name; `ERR_INVALID_OPTION` when there is no such turn,
   * content or branch; `ERR_READ_ONLY` when records to copy cannot be opened.
   */
  create(name: string, options?: CreateBranchOptions): Promise<Session>;
  /** The session of a branch, the conversation's own for `'main'`; an empty session if the branch was not created. */
  session(name: string): Session;
  /**
   * One session for all runs: each run is on the branch that was current when it began, also when the current
   * branch changes meanwhile, and a call outside of a run on the branch that is current then; so is
   * `applyHistoryMutations`, which is not told of a run. A run whose branch was deleted is `ERR_CONFLICT` and writes
   * nothing. The same object for the same session of the conversation. A run that is resumed from its serialized state
   * is a new one: give it `session(name)`. A run is known by its `RunContext`: runs that are given the same one count
   * as one run and stay on its branch. Pass the plain context instead, of which the runner makes a `RunContext` for
   * each run.
   */
  follow(): Session;
  /** The name of the current branch, `'main'` until {@link Branches.switch} is called. A call `currentBranch` on the conversation. */
  current(origin?: CallOrigin): Promise<string>;
  /**
   * Makes a branch the current one, for every process. Of two that switch at once the later one counts; both resolve.
   *
   * @throws StrongroomError `ERR_INVALID_OPTION` when there is no branch of this name.
   */
  switch(name: string, origin?: CallOrigin): Promise<Session>;
  /** `main` and the branches in the order in which they were made. Reads their items through the layers, and no other session. */
  list(origin?: CallOrigin): Promise<BranchInfo[]>;
  /**
   * Deletes a branch with its data keys; the conversation and other branches stay.
   *
   * @throws StrongroomError `ERR_CONFLICT` when it is the current one; `ERR_HELD` under a hold; `ERR_INVALID_OPTION` for `main` and
   * when there is no branch of this name. Nothing was deleted then.
   */
  delete(name: string, options?: DeleteBranchOptions): Promise<void>;
  /** The common beginning of two branches, and the rest of each. */
  compare(first: string, second: string): Promise<BranchComparison>;
}

/**
 * Branches of a conversation in a store of ours: sessions that begin with its records, under separate ids, `~branch~<name>~<id>`,
 * and the current one. Names and times of branches are kept in clear. Works in every stack of layers.
 *
 * @throws StrongroomError `ERR_INVALID_OPTION`; `ERR_UNSUPPORTED` for a store that is not ours.
 *
 * @example
 * ```ts
 * import { Agent, run } from '@openai/agents';
 * import { branches } from 'strongroom/history';
 * import { openSqlite } from 'strongroom/sqlite';
 *
 * const store = openSqlite('conversations.db');
 *
 * export async function askAgain(agent: Agent, id: string, question: string): Promise<unknown> {
 *   const tree = branches(store, id);
 *   await tree.create('second-try', { turn: 3 });
 *   await tree.switch('second-try');
 *   return run(agent, question, { session: tree.follow() });
 * }
 * ```
 */
export function branches(store: BranchStore, id: string): Branches {
  if (typeof store !== 'object' || store === null || typeof store.session !== 'function') {
    invalidOption(WHERE, 'store', 'a store', store);
  }
  if (typeof id !== 'string' || id === '') invalidOption(WHERE, 'id', 'the id of a session', id);
  const register = createRegister(store, id);
  const { sessionOf, state, exists } = register;

  return {
    create: async (name, options = {}) => createBranch(store, register, name, options),
    session: sessionOf,
    follow: () => followerOf(sessionOf(MAIN), register),
    async current(options = {}) {
      const origin = register.checkOrigin(options, []);
      const work = async (): Promise<string> => (await state()).current;
      return store[CALLS]?.one(id, 'currentBranch', origin, work) ?? work();
    },

    async switch(name, options = {}) {
      const origin = register.checkOrigin(options, []);
      const session = sessionOf(name);
      await register.adopt(name);
      const work = async (): Promise<void> => {
        await register.note((now) => {
          if (!exists(now, name)) throw missing(name);
          return now.current === name ? undefined : { do: 'switch', name };
        });
      };
      await (store[CALLS]?.one(id, 'switchBranch', origin, work) ?? work());
      return session;
    },

    async list(options = {}) {
      const origin = register.checkOrigin(options, []);
      const known = await state();
      const made = [...known.branches.values()].toSorted(
        (one, other) => (one.created ?? 0) - (other.created ?? 0),
      );
      const names = [MAIN, ...made.map(({ name }) => name), ...(await register.unnoted(known))];
      const list: BranchInfo[] = [];
      for (const name of names) list.push(await infoOf(register, name, known, origin));
      return list;
    },

    delete: async (name, options = {}) => deleteBranch(store, register, name, options),

    async compare(first, second) {
      await register.assertExists(first);
      await register.assertExists(second);
      return compareItems(await sessionOf(first).getItems(), await sessionOf(second).getItems());
    },
  };
}

async function createBranch(
  store: BranchStore,
  register: Register,
  name: string,
  options: CreateBranchOptions,
): Promise<Session> {
  const { idOf, sessionOf, state, isTaken, note } = register;
  const origin = register.checkOrigin(options, ['turns', 'items', 'turn', 'content', 'from']);
  const target = idOf(name);
  const count = parsePoint(WHERE, options);
  const known = await state();
  const from = options.from ?? known.current;
  const source = sessionOf(from);
  await register.assertExists(from);
  const branch = sessionOf(name);
  if (name === MAIN || (await register.unnoted(known)).includes(name)) throw taken(name);
  const created = register.now();
  let isNoted = false;
  const begin = async (): Promise<void> => {
    await note((now) => {
      if (isTaken(now, name)) throw taken(name);
      return { do: 'create', branch: { name, created, from } };
    });
    isNoted = true;
  };
  try {
    const copy = (source as { readonly [COPY]?: CopyBeginning })[COPY] ?? unsupported();
    const operationId = `strongroom-branch-${randomName()}`;
    await copy({ ...origin, count, whole: isWhole(options), to: branch, operationId, begin });
  } catch (error) {
    if (!isNoted) throw error;
    // Where it is unknown whether the copies were written, the branch is listed and can be deleted.
    if (mayBeWritten(error)) await store.deleteSession(target, { derived: true }).catch(() => undefined);
    await note(() => ({ do: 'delete', name })).catch(() => undefined);
    throw error;
  }
  return branch;
}

/**
 * Whether a branch can be deleted, but for holds.
 *
 * @returns The id of its session.
 * @throws StrongroomError As {@link Branches.delete}.
 */
export async function checkDeletion(
  store: BranchStore,
  id: string,
  name: string,
  options: DeleteBranchOptions,
): Promise<string> {
  const { target, force, known } = await deletionOf(createRegister(store, id), name, options);
  if (known.current === name && !force) throw isCurrent(name);
  return target;
}

async function deletionOf(
  { idOf, isTaken, state, unnoted, checkOrigin }: Register,
  name: string,
  options: DeleteBranchOptions,
): Promise<{
  readonly origin: CallOrigin;
  readonly force: boolean;
  readonly target: string;
  readonly known: BranchState;
}> {
  const origin = checkOrigin(options, ['force']);
  const { force = false } = options;
  if (typeof force !== 'boolean') invalidOption(WHERE, 'force', 'true or false', force);
  const target = idOf(name);
  if (name === MAIN) invalidOption(WHERE, 'name', 'a branch; main is the conversation itself', name);
  const known = await state();
  if (!isTaken(known, name) && !(await unnoted(known)).includes(name)) throw missing(name);
  return { origin, force, target, known };
}

async function deleteBranch(
  store: BranchStore,
  register: Register,
  name: string,
  options: DeleteBranchOptions,
): Promise<void> {
  const { origin, force, target, known } = await deletionOf(register, name, options);
  const { isTaken, note } = register;
  let before: BranchState = known;
  // First, so that no caller can switch to the branch during its deletion; the name is free after the deletion.
  await note((now) => {
    if (now.current === name && !force) throw isCurrent(name);
    before = now;
    return { do: 'leave', name };
  });
  try {
    await store.deleteSession(target, { ...origin, derived: true });
  } catch (error) {
    const branch = before.branches.get(name) ?? { name };
    const wasCurrent = before.current === name;
    await note((now) => (isTaken(now, name) ? { do: 'stay', branch, isCurrent: wasCurrent } : undefined));
    throw error;
  }
  await note(() => ({ do: 'delete', name }));
}

async function infoOf(
  { sessionOf }: Register,
  name: string,
  known: BranchState,
  origin: CallOrigin,
): Promise<BranchInfo> {
  const session = sessionOf(name);
  // Through the cache, which pages do not use.
  const items =
    Object.keys(origin).length === 0
      ? await session.getItems()
      : (await pageOf(WHERE, session, origin)).items.map(({ item }) => item);
  const { created, from } = known.branches.get(name) ?? {};
  const counts = { items: items.length, turns: startsOf(items).length };
  return defined({ name, current: name === known.current, ...counts, created, from });
}

function compareItems(one: readonly AgentInputItem[], other: readonly AgentInputItem[]): BranchComparison {
  let shared = 0;
  while (shared < one.length && shared < other.length && itemKey(one[shared]) === itemKey(other[shared]))
    shared++;
  const turns = startsOf(one.slice(0, shared)).length;
  return { items: shared, turns, first: one.slice(shared), second: other.slice(shared) };
}
