import type { Entry, HiddenEntry, SessionCall, SessionLayer } from '../../../layer.ts';
import { headerOfEntry } from '../record.ts';
import type { IntegrityFinding } from './findings.ts';
import { createSequenceReport } from './report.ts';
import type { SequenceWriter } from './writer.ts';

/** The hooks of a layer that numbers its records: they check reads, and record removals. */
export function sequenceHooks(
  sequence: SequenceWriter,
  onIntegrity: ((finding: IntegrityFinding) => 'throw' | 'ignore') | undefined,
): Pick<SessionLayer, 'inspect' | 'mutation'> {
  const report = createSequenceReport(onIntegrity);
  return {
    inspect: (entries: readonly (Entry | HiddenEntry)[], call: SessionCall) =>
      report(entries, call.sessionId, call.now()),
    mutation: (call: SessionCall) => {
      // All records are replaced; over some sessions they stay, before the new ones.
      if (call.kind === 'replaceHistoryWithCompaction') sequence.restart(call);
      return {
        done: (appended?: readonly Entry[], removed?: readonly (Entry | HiddenEntry)[]) => {
          // The replacement of the oldest records has its own numbers.
          if (call.kind === 'replacePrefix') return;
          if (appended === undefined && removed === undefined) sequence.restart(call);
          // Otherwise the records that replace them state the removal.
          else if (!sequence.wrote(call)) sequence.removed((removed ?? []).map(headerOfEntry), call);
        },
      };
    },
  };
}
