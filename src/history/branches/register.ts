import type { Session } from '@openai/agents';
import { derivedId, parseDerivedId } from '../../derived-id.ts';
import type { CallOrigin } from '../../layer.ts';
import { invalidOption } from '../../options.ts';
import { checkCall, originOf, refuseOrigin } from '../../protocol/call-origin.ts';
import { CALLS, MAINTENANCE, type StoreCalls } from '../../session-contract.ts';
import { missing, unsupported, WHERE } from './errors.ts';
import { MAIN, stateOf, summaryOf, type BranchNote, type BranchState } from './state.ts';

/** The functions that a store offers to {@link branches} in addition to its sessions. */
export interface BranchMaintenance {
  readonly now: () => number;
  readonly tree: (id: string) => Promise<readonly string[]>;
  readonly notes: {
    read(id: string): Promise<readonly object[]>;
    append(
      id: string,
      decide: (notes: readonly object[]) => object | undefined,
      summary: (notes: readonly object[]) => object,
    ): Promise<void>;
  };
}

/** The part of a store that {@link branches} needs; every store of ours has it, wrapped or not. */
export interface BranchStore {
  session(id: string, options?: { readonly derived?: boolean }): Session;
  deleteSession(id: string, options?: { readonly derived?: boolean } & CallOrigin): Promise<unknown>;
  readonly [CALLS]?: StoreCalls;
  readonly [MAINTENANCE]?: BranchMaintenance;
}

/** Which branches a conversation has, and where they are. */
export interface Register {
  readonly now: () => number;
  readonly idOf: (name: string) => string;
  readonly sessionOf: (name: string) => Session;
  readonly state: () => Promise<BranchState>;
  readonly exists: (state: BranchState, name: string) => boolean;
  /** The name is not free: it exists, or is being deleted. */
  readonly isTaken: (state: BranchState, name: string) => boolean;
  /** Appends the note that `decide` returns for the current state. */
  readonly note: (decide: (state: BranchState) => BranchNote | undefined) => Promise<void>;
  /** Branches that were made by an earlier version, or left by a process that died. */
  readonly unnoted: (known: BranchState) => Promise<readonly string[]>;
  readonly assertExists: (name: string) => Promise<void>;
  /** Registers such a branch. */
  readonly adopt: (name: string) => Promise<void>;
  /** The call origin in the options, which may have only these names. */
  readonly checkOrigin: (options: object, names: readonly string[]) => CallOrigin;
}

export function createRegister(store: BranchStore, id: string): Register {
  const { now, tree, notes } = store[MAINTENANCE] ?? unsupported();
  const notesId = derivedId({ kind: 'branches', of: id });

  const idOf = (name: string): string => {
    if (typeof name !== 'string' || name === '' || name.includes('~')) {
      return invalidOption(WHERE, 'name', 'a non-empty string without ~', name);
    }
    return name === MAIN ? id : derivedId({ kind: 'branch', of: id, name });
  };

  const register: Register = {
    now,
    idOf,
    sessionOf: (name) => store.session(idOf(name), { derived: true }),
    state: async () => stateOf(await notes.read(notesId)),
    exists: ({ branches }, name) =>
      name === MAIN || (branches.has(name) && branches.get(name)?.leaves === undefined),
    isTaken: ({ branches }, name) => name === MAIN || branches.has(name),
    note: async (decide) => notes.append(notesId, (known) => decide(stateOf(known)), summaryOf),
    async unnoted(known) {
      const names = (await tree(id)).flatMap((derived) => {
        const { kind, of, name } = parseDerivedId(derived) ?? {};
        return kind === 'branch' && of === id && name !== undefined ? [name] : [];
      });
      return names.filter((name) => !register.isTaken(known, name)).toSorted();
    },
    async assertExists(name) {
      const known = await register.state();
      if (!register.exists(known, name) && !(await register.unnoted(known)).includes(name))
        throw missing(name);
    },
    async adopt(name) {
      const known = await register.state();
      if (register.exists(known, name)) return;
      if (!(await register.unnoted(known)).includes(name)) throw missing(name);
      await register.note((at) =>
        register.isTaken(at, name) ? undefined : { do: 'create', branch: { name } },
      );
    },
    checkOrigin(options, names) {
      checkCall(WHERE, options, names);
      if (store[CALLS] === undefined) refuseOrigin(WHERE, options);
      return originOf(options);
    },
  };
  return register;
}
