import type { AgentInputItem } from '@openai/agents';
import type { CallOrigin, Header } from '../layer.ts';
import { createCalls } from './calls.ts';
import { createComparison } from './comparison.ts';
import { createHistories } from './histories.ts';
import type { Inner } from './inner.ts';
import type { Context, Parts } from './parts.ts';
import { createPipeline } from './pipeline.ts';
import { createRareCalls, type CallsOf, type RareCalls } from './rare-calls.ts';
import { createReads } from './reads.ts';
import type { Stack } from './stack.ts';
import { createWrites } from './writes.ts';

/** The functions that `members.ts` calls in the members of the SDK. */
export interface Engine {
  getItems(limit: number | undefined, runContext: Context): Promise<AgentInputItem[]>;
  /** @param headers Fields that the entries have from the start, one element for each item. */
  addItems(
    items: AgentInputItem[],
    runContext: Context,
    origin?: CallOrigin,
    headers?: readonly Header[],
  ): Promise<void>;
  clearSession(runContext: Context): Promise<void>;
  replaceHistoryWithCompaction(items: AgentInputItem[], runContext: Context): Promise<void>;
  rare(): RareCalls;
}

/** The engine of one wrapper: order of calls, pipeline, and the SDK's contract of the members. */
export function createEngine(inner: Inner, stack: Stack, maxItemBytes: number, callsOf: CallsOf): Engine {
  const pipeline = createPipeline(inner, stack);
  const histories = createHistories(inner.acceptsRunContext);
  const calls = createCalls(inner, stack, pipeline, histories);
  const comparison = createComparison(stack);
  const parts: Parts = { inner, stack, pipeline, histories, calls, comparison, maxItemBytes };

  let rare: RareCalls | undefined;
  return {
    ...createReads(parts),
    ...createWrites(parts),
    rare: () => (rare ??= createRareCalls(parts, callsOf)),
  };
}
