import { getOrMake } from '../../../get-or-make.ts';
import type { Header } from '../../../layer.ts';

/**
 * Header field of a numbered record: the id of its writer (6 random bytes in base64url), a point, and its number,
 * then notes on numbers that may be missing before it. See SPEC.md, section 3.1.
 */
export const SEQUENCE_FIELD = 'x-q';

/** The position of a record among those of its writer. */
export interface SequenceNumber {
  readonly writer: string;
  readonly number: number;
  readonly notes: readonly Note[];
}

/** Numbers of a writer, both ends included, that may be missing before a record. */
export interface Note {
  readonly writer: string;
  readonly from: number;
  readonly to: number;
  /** They expire by then, Unix milliseconds. Absent: they were removed before the record was written. */
  readonly after?: number | undefined;
}

/** Most notes that one record carries: a header has room for about 20. */
const MAX_NOTES = 8;

const NUMBER = /^([\w-]{8})\.(\d{1,15})$/;
const NOTE = /^([\w-]{8})?\.(\d{1,15})(?:-(\d{1,15}))?(?:@(\d{1,16}))?$/;

export function formatSequence({ writer, number, notes }: SequenceNumber): string {
  const texts = notes.slice(-MAX_NOTES).map((note) => {
    const name = note.writer === writer ? '' : note.writer;
    const to = note.to === note.from ? '' : `-${note.to}`;
    return `~${name}.${note.from}${to}${note.after === undefined ? '' : `@${note.after}`}`;
  });
  return `${writer}.${number}${texts.join('')}`;
}

/** The number of a record, `undefined` when its header has none of this form. */
export function sequenceOf(header: Header | undefined): SequenceNumber | undefined {
  const field = header?.[SEQUENCE_FIELD];
  if (typeof field !== 'string') return undefined;
  const [first = '', ...rest] = field.split('~');
  const match = NUMBER.exec(first);
  if (match === null) return undefined;
  const [, writer = '', digits] = match;
  const notes: Note[] = [];
  for (const text of rest) {
    const note = NOTE.exec(text);
    if (note === null) return undefined;
    const [, name = writer, from, to = from, after] = note;
    notes.push({
      writer: name,
      from: Number(from),
      to: Number(to),
      after: after === undefined ? undefined : Number(after),
    });
  }
  return { writer, number: Number(digits), notes };
}

/** Notes in the order in which a reader applies them: by writer, then by number, removed ranges joined. */
export function mergeNotes(notes: readonly Note[]): Note[] {
  const byWriter = new Map<string, Note[]>();
  for (const note of notes) getOrMake(byWriter, note.writer, () => []).push(note);
  return [...byWriter.values()].flatMap((own) => {
    const merged: Note[] = [];
    for (const note of own.toSorted((one, other) => one.from - other.from)) {
      const last = merged.at(-1);
      const touches = last !== undefined && last.after === undefined && note.from <= last.to + 1;
      if (touches && note.after === undefined) {
        merged[merged.length - 1] = { ...last, to: Math.max(last.to, note.to) };
      } else if (!touches || note.to > last.to) {
        merged.push(note);
      }
    }
    return merged;
  });
}
