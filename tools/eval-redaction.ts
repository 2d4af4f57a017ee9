// npm run eval:redaction -- [FILE] [--json] [--countries=DE,GB] [--entities=EMAIL_ADDRESS,…] [--misses]
// Without FILE: what STRONGROOM_REDACTION_SET names, else our own set. FILE has one labelled text a line: {"text": "…", "spans": [{"start": 0, "end": 5, "entity_type": "…"}]}
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createRedactor, type Country } from 'strongroom/redaction';
import {
  parseLabelled,
  scoreFinds,
  scoresByScript,
  scoreTable,
  tableOf,
  type LabelledSpan,
} from './redaction-score.ts';

const OWN_SET = new URL('../test/redaction/labelled.jsonl', import.meta.url).pathname;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    misses: { type: 'boolean', default: false },
    countries: { type: 'string' },
    entities: { type: 'string' },
  },
});
const [file = process.env['STRONGROOM_REDACTION_SET'] ?? OWN_SET] = positionals;
if (positionals.length > 1) {
  console.error(
    'Usage: npm run eval:redaction -- [FILE] [--json] [--misses] [--countries=DE,GB] [--entities=EMAIL_ADDRESS]',
  );
  process.exit(2);
}
const texts = parseLabelled(readFileSync(file, 'utf8'));
const redactor = createRedactor({
  ...(values.countries === undefined ? undefined : { countries: values.countries.split(',') as Country[] }),
  ...(values.entities === undefined ? undefined : { entities: values.entities.split(',') }),
});
const finds: LabelledSpan[][] = [];
for (const { text } of texts) {
  const results = await redactor.analyze(text);
  finds.push(results.map(({ start, end, entityType }) => ({ start, end, entity_type: entityType })));
}
const scores = scoreFinds(texts, finds);
const scripts = scoresByScript(texts, finds);
console.log(
  values.json
    ? JSON.stringify({ ...scores, scripts }, undefined, 2)
    : `${scoreTable(scores)}\n\n${tableOf('script', scripts)}`,
);
if (values.misses) {
  for (const [index, { text, spans }] of texts.entries()) {
    const one = scoreFinds([{ text, spans }], [finds[index] ?? []]);
    if (one.all.right === one.all.labelled && one.all.right === one.all.found) continue;
    console.log(`\nline ${index + 1}: ${JSON.stringify(text)}`);
    console.log(`  labelled ${JSON.stringify(spans)}\n  found    ${JSON.stringify(finds[index])}`);
  }
}
