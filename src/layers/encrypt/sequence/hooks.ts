import type { Entry, HiddenEntry, SessionCall, SessionLayer } from '../../../layer.ts';
import { headerOfEntry } from '../record.ts';
import type { IntegrityFinding } from './findings.ts';
import { createSequenceReport } from './report.ts';
import type { SequenceWriter } from './writer.ts';

/** The hooks of a layer that numbers its records: reads are judged, and removals noted. */
export function sequenceHooks(
  sequence: SequenceWriter,
  onIntegrity: ((finding: IntegrityFinding) => 'throw' | 'ignore') | undefined,
): Pick<SessionLayer, 'inspect' | 'mutation'> {
  const report = createSequenceReport(onIntegrity);
  return {
    inspect: (entries: readonly (Entry | HiddenEntry)[], call: SessionCall) =>
      report(entries, call.sessionId, call.now()),
    mutation: (call: SessionCall) => {
      // All that was there goes; over some sessions it stays, before what is written.
      if (call.kind === 'replaceHistoryWithCompaction') sequence.restart(call);
      return {
        done: (appended?: readonly Entry[], removed?: readonly (Entry | HiddenEntry)[]) => {
          // What takes the place of the oldest records has numbers of its own.
          if (call.kind === 'replacePrefix') return;
          if (appended === undefined && removed === undefined) sequence.restart(call);
          // Else what took their place says that they are gone.
          else if (!sequence.wrote(call)) sequence.removed((removed ?? []).map(headerOfEntry), call);
        },
      };
    },
  };
}
