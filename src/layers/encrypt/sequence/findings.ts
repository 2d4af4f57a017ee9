import type { Entry, HiddenEntry } from '../../../layer.ts';
import { envelopeText } from '../../../protocol/envelope.ts';
import { isMark, markKey } from '../../../protocol/record-mark.ts';
import { headerOfEntry } from '../record.ts';
import { sequenceOf, type Note, type SequenceNumber } from './field.ts';

/** A finding in the order of a session's records. */
export interface IntegrityFinding {
  /**
   * `duplicate`: a record exists twice. `reorder`: a writer's records are in another order than it wrote them.
   * `gap`: one of them is missing between two others. `replay`: a removed record was restored.
   */
  readonly kind: 'duplicate' | 'reorder' | 'gap' | 'replay';
  readonly sessionId: string;
  /** Position in the records of this read, 0 for the oldest. */
  readonly index: number;
}

/** The findings in a list of records. */
export interface SequenceFindings {
  readonly findings: readonly IntegrityFinding[];
  /** Two processes used the numbers of one writer: copies of one memory. */
  readonly cloned: boolean;
}

interface Numbered extends SequenceNumber {
  readonly name: string;
  readonly writtenAt: number | undefined;
}

/** The clock of the process that purged may be ahead of this one. */
const CLOCK_TOLERANCE = 60_000;

/**
 * Compares the records of each writer with each other only: records of concurrent writers may be in any order.
 *
 * @param entries - The records of one read, in their order; hidden ones count as present.
 * @param now - Records that may have expired by then are not reported as missing.
 */
export function sequenceFindings(
  entries: readonly (Entry | HiddenEntry)[],
  sessionId: string,
  now: number,
): SequenceFindings {
  const findings: IntegrityFinding[] = [];
  const numbers = entries.map(numberOf);
  const clones = clonesIn(numbers);
  const isCloned = (writer: string, number: number): boolean =>
    number >= (clones.get(writer) ?? Number.POSITIVE_INFINITY);
  const last = new Map<string, number>();
  const seen = new Set<string>();

  function apply(note: Note, index: number): void {
    const { writer, from, to, after } = note;
    if (isCloned(writer, to)) return;
    const before = last.get(writer);
    if (after !== undefined) {
      if (before !== undefined && before >= from - 1 && before < to && now + CLOCK_TOLERANCE >= after) {
        last.set(writer, to);
      }
      return;
    }
    if (before !== undefined && before > to) findings.push({ kind: 'reorder', sessionId, index });
    else if (before !== undefined && before >= from) findings.push({ kind: 'replay', sessionId, index });
    if (before === undefined || (before >= from - 1 && before < to)) last.set(writer, to);
  }

  numbers.forEach((numbered, index) => {
    const text = numbered === undefined ? textOf(entries[index]) : identityOf(numbered);
    if (text === undefined) return;
    if (seen.has(text)) {
      findings.push({ kind: 'duplicate', sessionId, index });
      return;
    }
    seen.add(text);
    if (numbered === undefined) return;
    const { writer, number, notes } = numbered;
    for (const note of notes) apply(note, index);
    if (isCloned(writer, number)) return;
    const before = last.get(writer);
    if (before !== undefined && number <= before) findings.push({ kind: 'reorder', sessionId, index });
    else if (before !== undefined && number > before + 1) findings.push({ kind: 'gap', sessionId, index });
    last.set(writer, Math.max(before ?? 0, number));
  });
  return { findings, cloned: clones.size > 0 };
}

function numberOf(entry: Entry | HiddenEntry): Numbered | undefined {
  const header = headerOfEntry(entry);
  const found = sequenceOf(header);
  return found && { ...found, name: `${found.writer}.${found.number}`, writtenAt: header?.t };
}

/** If a number was used twice, at different times, copies of one process used it and every later one. */
function clonesIn(numbers: readonly (Numbered | undefined)[]): Map<string, number> {
  const times = new Map<string, number | undefined>();
  const clones = new Map<string, number>();
  for (const numbered of numbers) {
    if (numbered === undefined) continue;
    const { name, writer, number, writtenAt } = numbered;
    if (!times.has(name)) times.set(name, writtenAt);
    else if (times.get(name) !== writtenAt) {
      clones.set(writer, Math.min(number, clones.get(writer) ?? number));
    }
  }
  return clones;
}

/** Equal for a copy of a record, also for one that was sealed again. */
function identityOf({ name, writtenAt }: Numbered): string {
  return `${name} ${writtenAt}`;
}

/** A record without a number is identified by its text: no two seals are equal. */
function textOf(entry: Entry | HiddenEntry | undefined): string | undefined {
  const record = entry?.stored;
  if (record === undefined || (!isMark(record) && envelopeText(record) === undefined)) return undefined;
  return markKey(record);
}
