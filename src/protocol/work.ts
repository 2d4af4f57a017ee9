import type { SessionCall, Work } from '../layer.ts';

/** Counts something that a layer did in a call. */
export function countWork(
  { result }: Pick<SessionCall, 'result'>,
  what: Exclude<keyof Work, 'redacted'>,
  by: number,
): void {
  if (by === 0) return;
  const work = (result.work ??= {});
  work[what] = (work[what] ?? 0) + by;
}

/** Counts replaced findings by their entity type. */
export function countRedacted({ result }: Pick<SessionCall, 'result'>, entityTypes: readonly string[]): void {
  if (entityTypes.length === 0) return;
  const redacted = ((result.work ??= {}).redacted ??= {});
  for (const entityType of entityTypes) redacted[entityType] = (redacted[entityType] ?? 0) + 1;
}
