import type { RunContext } from '@openai/agents';
import type { Entry, SessionCall } from '../layer.ts';
import type { Calls } from './calls.ts';
import type { Comparison } from './comparison.ts';
import type { Inner } from './inner.ts';
import type { Memory } from './memory.ts';
import type { Pipeline } from './pipeline.ts';
import type { Stack } from './stack.ts';
import type { OperationLog } from './transactions.ts';

/** What the members of one wrapper share. */
export interface Parts {
  readonly inner: Inner;
  readonly stack: Stack;
  readonly pipeline: Pipeline;
  readonly memory: Memory;
  readonly calls: Calls;
  readonly comparison: Comparison;
  readonly operations: OperationLog;
  readonly maxItemBytes: number;
}

export type Context = RunContext<unknown> | undefined;

/** Seals and transmits; once more when the sealing layer says that sealing anew can help. */
export async function send<R extends readonly Entry[]>(
  stack: Stack,
  call: SessionCall,
  seal: () => Promise<R>,
  transmit: (sealed: R) => Promise<void>,
): Promise<R> {
  const sealed = await seal();
  try {
    await transmit(sealed);
    return sealed;
  } catch (error) {
    if (!stack.layers.some((layer) => layer.refused?.(error, call) === true)) throw error;
    const again = await seal();
    await transmit(again);
    return again;
  }
}
