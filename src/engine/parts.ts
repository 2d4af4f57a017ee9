import type { RunContext } from '@openai/agents';
import type { Entry, MaybePromise, SessionCall } from '../layer.ts';
import { isThenable } from '../maybe-promise.ts';
import type { Calls } from './calls.ts';
import type { Comparison } from './comparison.ts';
import type { Inner } from './inner.ts';
import type { Histories } from './histories.ts';
import type { Pipeline } from './pipeline.ts';
import type { Stack } from './stack.ts';
import { plainCopy } from '../protocol/plain-copy.ts';

/** The shared parts of the members of one wrapper. */
export interface Parts {
  readonly inner: Inner;
  readonly stack: Stack;
  readonly pipeline: Pipeline;
  readonly histories: Histories;
  readonly calls: Calls;
  readonly comparison: Comparison;
  readonly maxItemBytes: number;
}

export type Context = RunContext<unknown> | undefined;

/**
 * Reads the caller's arguments now, before anything can change them. The returned function gives the result inside
 * the call, or throws the error of the check.
 */
export function readNow<T>(read: () => T): () => T {
  try {
    const value = read();
    return () => value;
  } catch (error) {
    return () => {
      throw error;
    };
  }
}

/** Details of arguments that may be refused. */
export function known<T extends object>(read: () => T): Partial<T> {
  try {
    return read();
  } catch {
    return {};
  }
}

/** A copy of plain data; anything else as it is, for the inner session to judge. */
export function copiedNow<T>(value: T, copy: (value: T) => unknown = plainCopy): T {
  try {
    return copy(value) as T;
  } catch {
    return value;
  }
}

/** The number of items of a value that may not be a list. */
export function countOf(items: unknown): { readonly itemCount?: number } {
  return Array.isArray(items) ? { itemCount: items.length } : {};
}

/** Seals and sends; once more when the sealing layer says that sealing again can help. */
export async function send<R extends readonly Entry[]>(
  stack: Stack,
  call: SessionCall,
  seal: () => MaybePromise<R>,
  transmit: (sealed: R) => MaybePromise<void>,
): Promise<R> {
  const sealing = seal();
  // Most stacks seal at once; waiting for that would cost a promise.
  const sealed = isThenable(sealing) ? await sealing : sealing;
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
