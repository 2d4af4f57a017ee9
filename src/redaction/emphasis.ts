import { isJoinedAfter, isJoinedBefore } from './boundary.ts';

/** The longest text in one emphasis. */
const LONGEST = 256;
const CLOSINGS = [1, 2, 3].map((count) => new RegExp(`(?<=[^\\s_])_{${count}}(?![\\w])`, 'g'));

/**
 * Reads the underscores of Markdown that emphasize (CommonMark, 6.2) and stand beside a digit. Those within a word do not
 * emphasize, and code has many beside letters.
 */
export interface EmphasisReader {
  /** Whether the underscores at `index` begin or end an emphasis. To be called in the order of the text. */
  isMark(index: number, count: number): boolean;
}

export function emphasisReader(text: string): EmphasisReader {
  const closings = new Set<number>();
  return {
    isMark(index, count) {
      if (closings.has(index)) return !isJoinedAfter(text, index + count);
      const pattern = CLOSINGS[count - 1];
      if (pattern === undefined || isJoinedBefore(text, index) || !/[^\s_]/.test(text[index + count] ?? '')) {
        return false;
      }
      const from = index + count;
      const line = text.slice(from, from + LONGEST).split('\n', 1)[0] as string;
      pattern.lastIndex = 0;
      const closing = pattern.exec(line);
      if (closing === null) return false;
      const isNumber = /^\d|\d$/.test(line.slice(0, closing.index));
      if (!isNumber) return false;
      closings.add(from + closing.index);
      return true;
    },
  };
}
