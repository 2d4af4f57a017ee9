import { namesOfItem } from './item-names.ts';
import type { SdkUsage } from './tokens.ts';

/** The part of a run that `recordUsage()` reads: a `RunResult`, a finished `StreamedRunResult`, or the like. */
export interface RunWithUsage {
  readonly state: { readonly usage: SdkUsage };
  /** Each model call, with its output. Without it the run is counted as a whole. */
  readonly rawResponses?: readonly {
    readonly usage: SdkUsage;
    readonly output: readonly unknown[];
    readonly responseId?: string | undefined;
    readonly providerData?: Readonly<Record<string, unknown>> | undefined;
  }[];
  /** Has the agent of each output. */
  readonly newItems?: readonly object[];
  readonly lastAgent?: { readonly name: string } | undefined;
  /** Says which branch the run was on, where its session follows branches. */
  readonly runContext?: object;
  /** Tells runs apart whose answers are alike. */
  readonly input?: unknown;
  /** Present when the run was that of an agent as a tool, whose usage is added to that of the run around it. */
  readonly agentToolInvocation?: object | undefined;
}

export type UsedResponse = NonNullable<RunWithUsage['rawResponses']>[number];

/**
 * How many responses at the beginning were in the state when it was deserialized: their outputs are not the objects
 * that the items of the run have, only like them. `undefined` when the items of the run are unknown.
 */
export function restoredOf({ rawResponses = [], newItems }: RunWithUsage): number | undefined {
  if (newItems === undefined) return undefined;
  const made = newItems.map((item) => (item as { readonly rawItem?: unknown }).rawItem);
  const objects = new Set(made);
  const first = rawResponses.findIndex(({ output }) => output.some((item) => objects.has(item)));
  if (first >= 0) return first;
  const names = new Set(made.map(nameOf));
  const isLike = rawResponses.some(({ output }) => output.some((item) => names.has(nameOf(item))));
  return isLike ? rawResponses.length : 0;
}

function nameOf(item: unknown): string {
  return JSON.stringify(namesOfItem(item));
}
