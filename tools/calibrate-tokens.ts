/**
 * Fits the charges of `src/history/estimate.ts` against exact `o200k_base` counts and prints them with the error on
 * texts that were not part of the fit. Run: `node tools/calibrate-tokens.ts`; paste the line it prints.
 */
import { existsSync, readFileSync } from 'node:fs';
import type { AgentInputItem } from '@openai/agents';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { createItemCost } from '../src/history/item-cost.ts';
import { CHARGES, countPieces } from '../src/history/estimate.ts';
import { PIECES } from '../src/history/token-pieces.ts';
import { TOKEN_SAMPLES } from './token-samples.ts';

/** The texts of an item, as the model gets them. */
function itemText(item: AgentInputItem): string {
  const texts: string[] = [];
  createItemCost((text) => texts.push(text))(item);
  return texts.join('\n');
}

const exact = (text: string): number => countTokens(text, { disallowedSpecial: new Set() });

/** An estimate that is too low overflows a context window; one that is too high wastes a little of it. */
const UNDER = 1.5;

/**
 * The charge without samples, and its weight against them: every short piece is one token of the vocabulary.
 * `other` has no sample: an emoji or a rare script costs up to three tokens a character.
 */
const PRIOR: Readonly<Record<(typeof PIECES)[number], number>> = {
  word: 1,
  letter: 0.12,
  foreignLetter: 0.3,
  accent: 0.3,
  accentedLetter: 0.3,
  digits: 1.05,
  punctuation: 0.9,
  mark: 0.1,
  lines: 1,
  blanks: 0.2,
  random: 0.68,
  hex: 0.57,
  cyrillicWord: 1.2,
  cyrillicLetter: 0.2,
  arabicWord: 1.2,
  arabicLetter: 0.2,
  han: 0.75,
  kana: 0.65,
  hangul: 0.7,
  indic: 0.35,
  other: 1.5,
};
const HOLD = 0.05;

/** Not fitted: English words and digits are single tokens by construction of the vocabulary; `other` has no sample. */
const KNOWN: ReadonlySet<string> = new Set(['word', 'letter', 'digits', 'other']);

interface Text {
  readonly kind: string;
  readonly text: string;
  readonly weight: number;
}

/** Coordinate descent on the squared relative error, regularized by the priors. */
function fit(texts: readonly Text[]): number[] {
  const rows = texts.map(({ text, weight }) => ({ pieces: countPieces(text), tokens: exact(text), weight }));
  const charges = PIECES.map((piece) => PRIOR[piece]);
  const residual = rows.map(
    (row) =>
      row.pieces.reduce((sum, amount, index) => sum + amount * (charges[index] as number), 0) / row.tokens -
      1,
  );
  for (let round = 0; round < 5_000; round++) {
    for (const [piece, name] of PIECES.entries()) {
      if (KNOWN.has(name)) continue;
      const before = charges[piece] as number;
      let slope = HOLD * (before - PRIOR[name]);
      let curve = HOLD;
      for (const [index, row] of rows.entries()) {
        const share = (row.pieces[piece] as number) / row.tokens;
        const error = residual[index] as number;
        const regret = row.weight * (error < 0 ? UNDER : 1);
        slope += regret * share * error;
        curve += regret * share * share;
      }
      const after = Math.max(0.02, before - slope / curve);
      charges[piece] = after;
      for (const [index, row] of rows.entries()) {
        residual[index] =
          (residual[index] as number) + ((after - before) * (row.pieces[piece] as number)) / row.tokens;
      }
    }
  }
  return charges;
}

function read(path: string): string | undefined {
  const url = new URL(path, import.meta.url);
  if (existsSync(url)) return readFileSync(url, 'utf8');
  console.warn(`skipped, because it is not there: ${path}`);
  return undefined;
}

/**
 * Real text in addition to the written samples: this repository's code, the compiler's messages, recorded
 * conversations.
 */
function corpora(): Text[] {
  const texts: Text[] = [];
  for (const path of ['../src/errors.ts', '../src/layer.ts', '../src/protocol/item.ts', '../README.md']) {
    const text = read(path);
    if (text !== undefined) texts.push({ kind: path, text, weight: 1 });
  }
  for (const language of [
    'cs',
    'de',
    'es',
    'fr',
    'it',
    'ja',
    'ko',
    'pl',
    'pt-br',
    'ru',
    'tr',
    'zh-cn',
    'zh-tw',
  ]) {
    const text = read(`../node_modules/typescript/lib/${language}/diagnosticMessages.generated.json`);
    if (text === undefined) continue;
    const messages = Object.values(JSON.parse(text) as Record<string, string>);
    texts.push({ kind: `compiler ${language}`, text: messages.slice(0, 400).join('\n'), weight: 1 });
  }
  const conversations = read('../../shared/data/conversations.jsonl');
  const byType = new Map<string, string[]>();
  for (const line of conversations?.split('\n').slice(0, 50) ?? []) {
    if (line === '') continue;
    for (const item of (JSON.parse(line) as { items: AgentInputItem[] }).items) {
      const kind = 'role' in item ? item.role : (item.type ?? 'message');
      const list = byType.get(kind);
      if (list === undefined) byType.set(kind, [itemText(item)]);
      else list.push(itemText(item));
    }
  }
  for (const [kind, list] of byType)
    texts.push({ kind: `recorded ${kind}`, text: list.join('\n'), weight: 5 });
  return texts;
}

const texts: Text[] = [
  ...TOKEN_SAMPLES.map(({ kind, fit: text }) => ({ kind, text, weight: 2 })),
  ...corpora(),
];
const charges = fit(texts).map((charge) => Number(charge.toFixed(3)));
const estimate = (text: string, by: readonly number[]): number =>
  countPieces(text).reduce((sum, amount, index) => sum + amount * (by[index] as number), 0);

console.log(`export const CHARGES: readonly number[] = [${charges.join(', ')}];\n`);
for (const [index, piece] of PIECES.entries()) console.log(piece.padEnd(16), charges[index], CHARGES[index]);
const percent = (text: string, by: readonly number[]): string =>
  `${((estimate(text, by) / exact(text) - 1) * 100).toFixed(1)} %`.padStart(8);
console.log('\nkind                             exact   fitted   in the source');
for (const { kind, text } of [
  ...TOKEN_SAMPLES.map(({ kind: name, check }) => ({ kind: `${name} (unseen)`, text: check })),
  ...texts,
]) {
  console.log(
    kind.padEnd(30),
    String(exact(text)).padStart(7),
    percent(text, charges),
    percent(text, CHARGES),
  );
}
