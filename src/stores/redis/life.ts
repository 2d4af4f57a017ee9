import { lineageOf } from '../../derived-id.ts';
import { after, type MaybePromise } from '../../maybe-promise.ts';
import type { StoredRecord } from '../driver.ts';
import { holdAbove } from './hold-above.ts';
import { isNotes } from './notes-end.ts';
import type { RedisParts } from './parts.ts';

/*
 * When the keys of a session end by themselves: when its last record expires (`PEXPIREAT`), so that nothing needs to run for
 * it. `meta` keeps that time as `lasts`, or `never`; it is raised in the script that appends, never after it, and lowered by
 * what looks at all records. A hold takes the times away (see holds.ts).
 */

/** Until when these records need their keys, in Unix milliseconds; `Infinity` for ever, `-Infinity` without records. */
export function latestExpiry(records: readonly StoredRecord[]): number {
  let latest = Number.NEGATIVE_INFINITY;
  for (const { expiresAt } of records) latest = Math.max(latest, expiresAt ?? Number.POSITIVE_INFINITY);
  return latest;
}

/**
 * The argument of the scripts (see `LIFE` in scripts.ts): until when the new records need the keys, the clock of
 * this process, the idle time (0: none), whether a hold on an ancestor is open, which can be in another slot, and the notes that
 * it can concern.
 */
export function lifeOf(
  parts: RedisParts,
  sessionId: string,
  latest: number = Number.NEGATIVE_INFINITY,
): MaybePromise<string> {
  // Conversations can be written to for longer than the notes on their branches.
  const idle = isNotes(sessionId) ? 0 : parts.idle;
  const isEndless = latest === Number.POSITIVE_INFINITY && idle === 0;
  const hold = isEndless || lineageOf(sessionId) === undefined ? undefined : holdAbove(parts, sessionId);
  return after(hold, (held) => {
    const isHeld = held === undefined ? 0 : 1;
    return `${textOf(latest)}:${Math.floor(parts.now())}:${idle}:${isHeld}:${parts.notesOf(sessionId)}`;
  });
}

function textOf(latest: number): string {
  if (latest === Number.POSITIVE_INFINITY) return 'never';
  return latest === Number.NEGATIVE_INFINITY ? 'none' : String(Math.ceil(latest));
}
