import { StrongroomError } from '../../../errors.ts';
import type { Entry, HiddenEntry } from '../../../layer.ts';
import { dropPromise } from '../../../options.ts';
import { warn } from '../../../warning.ts';
import { sequenceFindings, type IntegrityFinding } from './findings.ts';

const MEANING = {
  duplicate: 'repeated',
  reorder: 'put in another order',
  gap: 'removed',
  replay: 'put back after they had been removed',
} as const;

/** How many sessions with a warning are remembered. */
const WARNED = 10_000;

/**
 * Checks each read: by default duplicates, another order and restored records throw; the first gap of a session is
 * a process warning, and so are copies of one process.
 *
 * @throws {@link StrongroomError} `ERR_AUTHENTICATION`, from the returned function.
 */
export function createSequenceReport(
  onIntegrity: ((finding: IntegrityFinding) => 'throw' | 'ignore') | undefined,
): (entries: readonly (Entry | HiddenEntry)[], sessionId: string, now: number) => void {
  const warned = new Set<string>();
  const warnOnce = (code: string, sessionId: string, text: string): void => {
    const name = `${code} ${sessionId}`;
    if (warned.has(name)) return;
    if (warned.size >= WARNED) warned.clear();
    warned.add(name);
    warn(code, text);
  };
  return (entries, sessionId, now) => {
    const { findings, cloned } = sequenceFindings(entries, sessionId, now);
    const session = `session ${JSON.stringify(sessionId)}`;
    if (cloned) {
      warnOnce(
        'STRONGROOM_CLONE',
        sessionId,
        `Copies of one process wrote to ${session} under one writer name. Among their records only repeats are detected, not a changed order. Restart the copies: each takes a new name.`,
      );
    }
    for (const finding of findings) {
      const decision = onIntegrity?.(finding) ?? (finding.kind === 'gap' ? 'warn' : 'throw');
      // Every answer but 'ignore' throws, a promise included.
      dropPromise(decision);
      const where = `Record ${finding.index + 1} of ${entries.length} of ${session}`;
      if (decision === 'warn') {
        warnOnce(
          'STRONGROOM_GAP',
          sessionId,
          `${where}: a record of the same writer before it is missing. If no other process removed it, compare with a backup.`,
        );
      } else if (decision !== 'ignore') {
        throw new StrongroomError(
          'ERR_AUTHENTICATION',
          `${where} is out of sequence (${finding.kind}): records were ${MEANING[finding.kind]}. Treat it as tampering, ` +
            'or handle it with onIntegrity.',
        );
      }
    }
  };
}
