import type {
  AgentInputItem,
  Session,
  SessionHistoryRewriteArgs,
  SessionHistoryTransactionArgs,
} from '@openai/agents';
import type { CallKind, SessionCall } from '../layer.ts';
import { createCalls } from './calls.ts';
import { createComparison } from './comparison.ts';
import { createHistories } from './histories.ts';
import type { Inner } from './inner.ts';
import { createMutations } from './mutations.ts';
import { createOperations } from './operations.ts';
import type { Context, Parts } from './parts.ts';
import { createPipeline } from './pipeline.ts';
import { createReads } from './reads.ts';
import { createRemoval } from './removal.ts';
import type { Stack } from './stack.ts';
import { createPrefix, type Receive, type ReplacePrefixArgs } from './prefix.ts';
import { createWrites } from './writes.ts';

/** What `members.ts` puts behind the members of the SDK. */
export interface Engine {
  getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]>;
  addItems(items: AgentInputItem[], runContext: Context): Promise<void>;
  popItem(runContext: Context): Promise<AgentInputItem | undefined>;
  clearSession(runContext: Context): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void>;
  applyHistoryTransaction(args: SessionHistoryTransactionArgs, runContext: Context): Promise<void>;
  applyHistoryMutations(args: SessionHistoryRewriteArgs): Promise<void>;
  /** Only over sessions of our stores. */
  replacePrefix(args: ReplacePrefixArgs): Promise<void>;
  /** Takes what another session archives here. */
  readonly receive: Receive;
  /** A member that layers only watch: passes on as it is, in the order of the calls. */
  observe<T>(kind: CallKind, details: ObservedCall, next: () => Promise<T>): Promise<T>;
  /** The store deletes the session: what this process remembers of it goes too. */
  deleted<T>(next: () => Promise<T>): Promise<T>;
}

/** What is known of a call that only passes through. */
export interface ObservedCall {
  readonly runContext?: Context;
  readonly itemCount?: number;
  readonly mutates: boolean;
  readonly count?: (result: unknown) => number | undefined;
}

/** One wrapper's engine: order, pipeline, and what the SDK's contract asks of the members. */
export function createEngine(
  inner: Inner,
  stack: Stack,
  maxItemBytes: number,
  receiverOf: (session: Session) => Receive | undefined,
): Engine {
  const pipeline = createPipeline(inner, stack);
  const histories = createHistories(inner.acceptsRunContext);
  const calls = createCalls(inner, stack, pipeline, histories);
  const comparison = createComparison(stack);
  const parts: Parts = { inner, stack, pipeline, histories, calls, comparison, maxItemBytes };

  async function observe<T>(kind: CallKind, details: ObservedCall, next: () => Promise<T>): Promise<T> {
    const { runContext, itemCount, mutates, count } = details;
    const call = { runContext, ...(itemCount !== undefined && { itemCount }) };
    const work = async ({ result }: SessionCall): Promise<T> => {
      const value = await next();
      const items = count?.(value) ?? itemCount;
      if (items !== undefined) result.items = items;
      return value;
    };
    return mutates ? calls.mutate(kind, call, work) : calls.read(kind, call, work);
  }

  async function deleted<T>(next: () => Promise<T>): Promise<T> {
    return calls.mutate('deleteSession', {}, async () => {
      const value = await next();
      histories.forget();
      return value;
    });
  }

  return {
    ...createReads(parts),
    ...createWrites(parts),
    ...createRemoval(parts),
    ...createOperations(parts),
    ...createMutations(parts),
    ...createPrefix(parts, receiverOf),
    observe,
    deleted,
  };
}
