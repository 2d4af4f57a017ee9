// Side by side with other redactors from npm, on the labelled set and on the shared conversations:
//   npm install --prefix DIR @redactpii/node redact-pii openredaction @openai/guardrails
//   PEERS=DIR node --conditions=strongroom-source bench/redaction-peers.ts
// They are not devDependencies: together they install more than two hundred packages.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { AgentInputItem } from '@openai/agents';
import { createRedactor } from 'strongroom/redaction';
import { parseLabelled, scoreFinds, type LabelledSpan, type LabelledText } from '../tools/redaction-score.ts';

type Redact = (text: string) => Promise<string>;
type Module = Record<string, never> & { readonly [name: string]: unknown };

/** The placeholders of each of them. */
const PLACEHOLDER =
  /\[[A-Z][A-Z0-9_ ]*?(?:_[A-Za-z0-9]+)?\]|<[A-Z][A-Z0-9_]*>|\b(?:EMAIL_ADDRESS|PHONE_NUMBER|CREDIT_CARD(?:_NUMBER)?|SSN|US_SOCIAL_SECURITY_NUMBER|IP_ADDRESS|PERSON_NAME|DIGITS|URL|USERNAME|PASSWORD|CREDENTIALS|ZIPCODE|STREET_ADDRESS)\b/;

const directory = resolve(process.env['PEERS'] ?? '.');
const load = async (name: string): Promise<Module> => {
  const require = createRequire(join(directory, 'package.json'));
  return (await import(pathToFileURL(require.resolve(name)).href)) as Module;
};

const own = createRedactor();
const tools: Readonly<Record<string, () => Promise<Redact>>> = {
  strongroom: async () => (text) => own.redactText(text),
  '@redactpii/node': async () => {
    const { Redactor } = (await load('@redactpii/node')) as unknown as {
      Redactor: new () => { redact(text: string): string };
    };
    const redactor = new Redactor();
    return async (text) => redactor.redact(text);
  },
  'redact-pii': async () => {
    const { SyncRedactor } = (await load('redact-pii')) as unknown as {
      SyncRedactor: new () => { redact(text: string): string };
    };
    const redactor = new SyncRedactor();
    return async (text) => redactor.redact(text);
  },
  openredaction: async () => {
    const { OpenRedaction } = (await load('openredaction')) as unknown as {
      OpenRedaction: new () => { detect(text: string): Promise<{ redacted: string }> };
    };
    const redactor = new OpenRedaction();
    return async (text) => (await redactor.detect(text)).redacted;
  },
  '@openai/guardrails': async () => {
    const guardrails = (await load('@openai/guardrails')) as unknown as {
      pii(context: object, text: string, config: object): Promise<{ info: { checked_text?: string } }>;
      PIIConfig: { parse(config: object): object };
    };
    const config = guardrails.PIIConfig.parse({});
    // It refuses empty text.
    return async (text) =>
      text === '' ? text : ((await guardrails.pii({}, text, config)).info.checked_text ?? text);
  },
};

/** The finds in a text: the pieces between placeholders are in the text in order, and the rest was found. */
function findsOf(text: string, redacted: string): LabelledSpan[] {
  const finds: LabelledSpan[] = [];
  const pieces = redacted.split(PLACEHOLDER);
  let done = (pieces[0] ?? '').length;
  for (const [index, piece] of pieces.slice(1).entries()) {
    const isLast = index === pieces.length - 2;
    const next = isLast ? text.length - piece.length : text.indexOf(piece, done + 1);
    if (next > done) finds.push({ start: done, end: next, entity_type: 'ANY' });
    done = Math.max(next, done) + piece.length;
  }
  return finds;
}

// Texts that hold such words themselves ("SSN 536-…") cannot be split this way and are omitted for all.
const labelled = parseLabelled(
  readFileSync(new URL('../test/redaction/labelled.jsonl', import.meta.url), 'utf8'),
).filter(({ text }) => !PLACEHOLDER.test(text));
const shared = new URL('../../shared/data/conversations.jsonl', import.meta.url);
const outputs: LabelledText[] = existsSync(shared)
  ? readFileSync(shared, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .flatMap((line) => (JSON.parse(line) as { items: AgentInputItem[] }).items)
      .flatMap((item) => {
        if (item.type !== 'function_call_result') return [];
        const text = typeof item.output === 'string' ? item.output : (item.output as { text?: string }).text;
        if (text === undefined) return [];
        const spans = Array.from(text.matchAll(/[\w.+-]+@[\w-]+(?:\.[\w-]+)+/g), (match) => ({
          start: match.index,
          end: match.index + match[0].length,
          entity_type: 'EMAIL_ADDRESS',
        }));
        return [{ text, spans }];
      })
  : [];
if (outputs.length === 0) console.warn('skipped: the shared conversations are not here');

const percent = (value: number): string => value.toFixed(3).padStart(7);
for (const [title, texts] of [
  ['labelled set', labelled],
  ['tool outputs of the conversations', outputs],
] as const) {
  if (texts.length === 0) continue;
  const entities = [...new Set(texts.flatMap(({ spans }) => spans.map((span) => span.entity_type)))].sort();
  console.log(`\n${title}: ${texts.length} texts\n`);
  console.log(
    ['tool'.padEnd(20), 'precision', ' recall', '   gone', ' leaked', '   over', ...entities].join('  '),
  );
  for (const [name, open] of Object.entries(tools)) {
    let redact: Redact;
    try {
      redact = await open();
    } catch {
      console.log(`${name.padEnd(20)}  not installed in PEERS`);
      continue;
    }
    const finds: LabelledSpan[][] = [];
    let values = 0;
    let gone = 0;
    for (const { text, spans } of texts) {
      const redacted = await redact(text);
      finds.push(findsOf(text, redacted));
      values += spans.length;
      gone += spans.filter(({ start, end }) => !redacted.includes(text.slice(start, end))).length;
    }
    const { all, leakRate, overRedaction } = scoreFinds(texts, finds, true);
    const recalls = entities.map((entity) => {
      const only = texts.map(({ text, spans }) => ({
        text,
        spans: spans.filter((span) => span.entity_type === entity),
      }));
      return scoreFinds(only, finds, true).all.recall.toFixed(2).padStart(entity.length);
    });
    console.log(
      [
        name.padEnd(20),
        `  ${percent(all.precision)}`,
        percent(all.recall),
        percent(gone / values),
        percent(leakRate),
        percent(overRedaction),
        ...recalls,
      ].join('  '),
    );
  }
}
