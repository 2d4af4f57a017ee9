// Writes src/redaction/top-level-domains.ts from the suffix data of tldts: node tools/top-level-domains.mjs
import { writeFileSync } from 'node:fs';
import { parse } from 'tldts';
import { edgeLength, edgeStart, labelText, rulesRoot } from '../node_modules/tldts/dist/es6/src/data/trie.js';

let offset = 0;
const names = [];
for (let edge = 0; edge < edgeLength.length; edge++) {
  const label = labelText.slice(offset, offset + edgeLength[edge]);
  offset += edgeLength[edge];
  if (edge < edgeStart[rulesRoot] || edge >= edgeStart[rulesRoot + 1]) continue;
  if (label !== '*' && parse(`example.${label}`).isIcann) names.push(label);
}
names.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
const lines = [''];
for (const name of names) {
  const last = lines.length - 1;
  if (lines[last].length + name.length > 100) lines.push(name);
  else lines[last] += lines[last] === '' ? name : ` ${name}`;
}
writeFileSync(
  new URL('../src/redaction/top-level-domains.ts', import.meta.url),
  `// Written by tools/top-level-domains.mjs from the ICANN part of tldts' suffix data. Do not edit.

const NAMES = \`
${lines.join('\n')}
\`;

/** Names that are no delegated domains but stand in real addresses: RFC 2606, RFC 6762 and common intranets. */
const RESERVED = 'corp example home internal intranet invalid lan local localdomain localhost onion private test';

const TOP_LEVEL_DOMAINS: ReadonlySet<string> = new Set(\`\${NAMES} \${RESERVED}\`.trim().split(/\\s/));

/** Whether a lower-case label is a top-level domain, in Unicode or as \`xn--…\`. */
export function isTopLevelDomain(label: string): boolean {
  return TOP_LEVEL_DOMAINS.has(label);
}
`,
);
