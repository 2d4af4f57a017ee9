/** A labelled text, as Presidio's evaluator writes it: offsets in UTF-16 code units. */
export interface LabelledText {
  readonly text: string;
  readonly spans: readonly LabelledSpan[];
  /** Known not to be found whole: it is part of the set nevertheless, and counts in its scores. */
  readonly missed?: true;
}

export interface LabelledSpan {
  readonly start: number;
  readonly end: number;
  readonly entity_type: string;
}

/** Counts of one entity, and the scores derived from them. */
export interface EntityScore {
  readonly entity: string;
  readonly labelled: number;
  readonly found: number;
  readonly right: number;
  readonly precision: number;
  readonly recall: number;
  /** Recall counts four times as much as precision (van Rijsbergen, beta 2). */
  readonly f2: number;
}

export interface Scores {
  readonly lines: number;
  readonly entities: readonly EntityScore[];
  readonly all: EntityScore;
  /** Of the characters that are labelled, the part that no find covers. */
  readonly leakRate: number;
  /** Of the characters that are not labelled, the part that a find covers. */
  readonly overRedaction: number;
}

interface Tally {
  labelled: number;
  found: number;
  right: number;
}

/**
 * Scores finds against labels. A find is right when a label of its entity overlaps it by half of their union;
 * `anyEntity` lets the entity differ, for tools with other names.
 */
export function scoreFinds(
  texts: readonly LabelledText[],
  findsOf: readonly (readonly LabelledSpan[])[],
  anyEntity = false,
): Scores {
  const tallies = new Map<string, Tally>();
  const tally = (entity: string): Tally => {
    const known = tallies.get(entity) ?? { labelled: 0, found: 0, right: 0 };
    tallies.set(entity, known);
    return known;
  };
  const total: Tally = { labelled: 0, found: 0, right: 0 };
  let labelledCharacters = 0;
  let leaked = 0;
  let otherCharacters = 0;
  let overRedacted = 0;
  for (const [index, { text, spans }] of texts.entries()) {
    const finds = findsOf[index] ?? [];
    const free = new Set(finds);
    for (const span of spans) {
      tally(span.entity_type).labelled++;
      total.labelled++;
      for (const find of free) {
        if (overlap(find, span) < 0.5 || (!anyEntity && find.entity_type !== span.entity_type)) continue;
        free.delete(find);
        tally(span.entity_type).right++;
        tally(span.entity_type).found++;
        total.right++;
        total.found++;
        break;
      }
    }
    for (const find of free) {
      tally(find.entity_type).found++;
      total.found++;
    }
    for (let place = 0; place < text.length; place++) {
      const isLabelled = covers(spans, place);
      const isFound = covers(finds, place);
      if (isLabelled) {
        labelledCharacters++;
        if (!isFound) leaked++;
      } else {
        otherCharacters++;
        if (isFound) overRedacted++;
      }
    }
  }
  return {
    lines: texts.length,
    entities: [...tallies]
      .map(([entity, counts]) => scoreOf(entity, counts))
      .sort((a, b) => (a.entity < b.entity ? -1 : 1)),
    all: scoreOf('all', total),
    leakRate: ratio(leaked, labelledCharacters, 0),
    overRedaction: ratio(overRedacted, otherCharacters, 0),
  };
}

function scoreOf(entity: string, { labelled, found, right }: Tally): EntityScore {
  const precision = ratio(right, found, 1);
  const recall = ratio(right, labelled, 1);
  const f2 = precision + recall === 0 ? 0 : (5 * precision * recall) / (4 * precision + recall);
  return { entity, labelled, found, right, precision, recall, f2 };
}

function ratio(part: number, whole: number, empty: number): number {
  return whole === 0 ? empty : part / whole;
}

/** Length of the intersection divided by the length of the union. */
function overlap(a: LabelledSpan, b: LabelledSpan): number {
  const both = Math.min(a.end, b.end) - Math.max(a.start, b.start);
  return both <= 0 ? 0 : both / (Math.max(a.end, b.end) - Math.min(a.start, b.start));
}

function covers(spans: readonly LabelledSpan[], place: number): boolean {
  return spans.some((span) => span.start <= place && place < span.end);
}

const SCRIPTS = (
  'Han Hiragana Katakana Hangul Thai Lao Khmer Myanmar Arabic Hebrew Cyrillic Greek Devanagari Bengali Tamil Telugu ' +
  'Gujarati Gurmukhi Kannada Malayalam Sinhala Georgian Armenian Ethiopic'
)
  .split(' ')
  .map((script) => [script, new RegExp(`\\p{Script=${script}}`, 'gu')] as const);

/** The script of most of the letters of a text that are not Latin; `Latin` when there are no others. */
export function scriptOf(text: string): string {
  let best = 'Latin';
  let most = 0;
  for (const [script, pattern] of SCRIPTS) {
    const count = text.match(pattern)?.length ?? 0;
    // Japanese text mixes Kana with Han, so Kana weighs more.
    const weight = /^(?:Hiragana|Katakana)$/.test(script) ? 10 * count : count;
    if (weight > most) [best, most] = [script.replace(/^(?:Hiragana|Katakana)$/, 'Kana'), weight];
  }
  return best;
}

/** The score of each script by itself, most texts first. */
export function scoresByScript(
  texts: readonly LabelledText[],
  findsOf: readonly (readonly LabelledSpan[])[],
): readonly (EntityScore & { readonly lines: number })[] {
  const indexes = new Map<string, number[]>();
  for (const [index, { text }] of texts.entries()) {
    const script = scriptOf(text);
    indexes.set(script, [...(indexes.get(script) ?? []), index]);
  }
  return [...indexes]
    .map(([script, members]) => {
      const part = members.map((index) => texts[index] as LabelledText);
      const scores = scoreFinds(
        part,
        members.map((index) => findsOf[index] ?? []),
      );
      return { ...scores.all, entity: script, lines: part.length };
    })
    .sort((a, b) => b.lines - a.lines);
}

/** Reads one labelled text a line. Throws with the number of an invalid line. */
export function parseLabelled(lines: string): readonly LabelledText[] {
  return lines.split('\n').flatMap((line, index) => {
    if (line.trim() === '') return [];
    const refuse = (): never => {
      throw new Error(
        `Line ${index + 1} is not {"text", "spans": [{"start", "end", "entity_type"}]} with valid offsets.`,
      );
    };
    let value: LabelledText;
    try {
      value = JSON.parse(line) as LabelledText;
    } catch {
      return refuse();
    }
    if (typeof value?.text !== 'string' || !Array.isArray(value.spans)) return refuse();
    for (const { start, end, entity_type: entity } of value.spans) {
      const isRange =
        Number.isInteger(start) &&
        Number.isInteger(end) &&
        start >= 0 &&
        start < end &&
        end <= value.text.length;
      if (!isRange || typeof entity !== 'string') refuse();
    }
    return [value];
  });
}

/** The scores as a table for people. */
export function scoreTable({ lines, entities, all, leakRate, overRedaction }: Scores): string {
  return [
    tableOf('entity', [...entities, all]),
    '',
    `${lines} lines, leaked characters ${(100 * leakRate).toFixed(2)} %, over-redacted characters ${(100 * overRedaction).toFixed(2)} %`,
  ].join('\n');
}

/** One row a score, aligned. */
export function tableOf(title: string, scores: readonly EntityScore[]): string {
  const rows = scores.map((score) => [
    score.entity,
    String(score.labelled),
    String(score.found),
    String(score.right),
    score.precision.toFixed(3),
    score.recall.toFixed(3),
    score.f2.toFixed(3),
  ]);
  const head = [title, 'labelled', 'found', 'right', 'precision', 'recall', 'F2'];
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => (row[column] as string).length)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ');
  return [line(head), ...rows.map(line)].join('\n');
}
