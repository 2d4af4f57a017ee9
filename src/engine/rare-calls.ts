import type {
  AgentInputItem,
  Session,
  SessionHistoryRewriteArgs,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import type { SessionCall, CallKind, CallOrigin, Entry } from '../layer.ts';
import type { ReadPage } from '../session-contract.ts';
import { createMutations } from './mutations.ts';
import { createOperations } from './operations.ts';
import type { Context, Parts } from './parts.ts';
import { createPages } from './pages.ts';
import { createRemoval } from './removal.ts';

/** The functions of an engine that most sessions never need: they are made at their first use. */
export interface RareCalls {
  popItem(runContext: Context): Promise<AgentInputItem | undefined>;
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, runContext: Context): Promise<void>;
  applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void>;
  /** A page of the history, with details of its items from the layers. */
  readonly page: ReadPage;
  /** More functions over this engine, for those who bring them: applications that do not need these do not bundle them. */
  using<T>(create: Creates<T>): T;
  /** A member that layers only observe: it is passed on unchanged, in the order of the calls. */
  observe<T>(kind: CallKind, details: ObservedCall, next: () => Promise<T>): Promise<T>;
  /** The session is deleted from outside: the state of this process for it is dropped, too. */
  removed<T>(kind: CallKind, origin: CallOrigin, next: () => Promise<T>): Promise<T>;
  /** A call of a function that works below the layers, beside the queue. */
  operate<T>(kind: CallKind, origin: CallOrigin, work: (io: OperationIO) => Promise<T>): Promise<T>;
}

export type Creates<T> = (parts: Parts, callsOf: CallsOf) => T;

/** These functions of another session of the same store that this copy of the package wrapped; `undefined` for anything else. */
export type CallsOf = (session: Session) => RareCalls | undefined;

/** The reads of such a function. */
export interface OperationIO {
  /** All visible items, without a cache. */
  visibleItems(): Promise<AgentInputItem[]>;
  /** The same with the header of each. */
  visibleEntries(): Promise<Entry[]>;
}

/** The details of a call that is only passed on. */
export interface ObservedCall {
  readonly runContext?: Context;
  readonly itemCount?: number;
  readonly mutates: boolean;
  readonly count?: (result: unknown) => number | undefined;
}

export function createRareCalls(parts: Parts, callsOf: CallsOf): RareCalls {
  const { calls, pipeline, histories } = parts;

  async function observe<T>(kind: CallKind, details: ObservedCall, next: () => Promise<T>): Promise<T> {
    const { itemCount, mutates, count } = details;
    const work = async ({ result }: SessionCall): Promise<T> => {
      const value = await next();
      const items = count?.(value) ?? itemCount;
      if (items !== undefined) result.items = items;
      return value;
    };
    return mutates ? calls.mutate(kind, details, work) : calls.read(kind, details, work);
  }

  const operate: RareCalls['operate'] = async (kind, origin, work) =>
    calls.read(kind, origin, async (call) => {
      async function visibleEntries(): Promise<Entry[]> {
        const opened = await pipeline.read(undefined, call, true);
        const entries = opened.flatMap(({ visible }) => visible ?? []);
        call.result.items = entries.length;
        return entries;
      }
      return work({
        visibleEntries,
        visibleItems: async () => (await visibleEntries()).map(({ item }) => item),
      });
    });

  async function removed<T>(kind: CallKind, origin: CallOrigin, next: () => Promise<T>): Promise<T> {
    return calls.mutate(kind, origin, async () => {
      const value = await next();
      histories.forget();
      return value;
    });
  }

  return {
    ...createRemoval(parts),
    ...createOperations(parts),
    ...createMutations(parts),
    page: createPages(parts),
    using: (create) => create(parts, callsOf),
    observe,
    operate,
    removed,
  };
}
