/**
 * Checks the Markdown papers, or with `--write` repairs blocks and tables:
 * - every `ts` block stands behind `<!-- cut: examples/file.ts -->` or `<!-- cut: examples/file.ts#region -->` and equals
 *   that file or region, so that CI has compiled and run the code that a reader pastes;
 * - every table between `<!-- bench: GROUP -->` and `<!-- /bench -->` is what `bench/results` holds;
 * - every relative link leads to an existing file, and every anchor to a heading of it.
 *
 * A region lies between the lines `// #region name` and `// #endregion` and is cut without its indentation.
 */
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { withMeasuredTables } from './measured-tables.ts';

const ROOT = resolve(import.meta.dirname, '..');
const BLOCK = /(?:<!-- cut: (?<source>\S+?)(?:#(?<region>\S+))? -->\n)?```ts\n(?<code>[\s\S]*?)```/g;

/** The papers that are checked, relative to the root of the repository. */
export function papers(): string[] {
  return globSync(['*.md', 'llms.txt', 'docs/**/*.md'], { cwd: ROOT })
    .filter((file) => !file.startsWith(join('docs', 'api')))
    .toSorted();
}

/** The findings of one paper, one line each. */
export function findings(paper: string): string[] {
  const text = readFileSync(join(ROOT, paper), 'utf8');
  const found: string[] = [];
  for (const { groups, index } of text.matchAll(BLOCK)) {
    const { source, region, code } = groups as { source?: string; region?: string; code: string };
    const where = `${paper}:${lineOf(text, index)}`;
    if (source === undefined) {
      found.push(`${where}: a ts block without a "cut:" comment: nothing runs it.`);
    } else if (cut(source, region) !== code) {
      found.push(`${where}: differs from ${source}. Run \`npm run docs:cut\`.`);
    }
  }
  for (const { index } of text.matchAll(/<!-- cut: \S+ -->\n(?!```ts\n)/g)) {
    found.push(`${paper}:${lineOf(text, index)}: no \`\`\`ts block follows this "cut:" comment.`);
  }
  if (withMeasuredTables(text) !== text) {
    found.push(`${paper}: a table differs from bench/results. Run \`npm run docs:cut\`.`);
  }
  for (const match of withoutCode(text).matchAll(/\]\((?<target>[^)\s]+)\)/g)) {
    const target = match.groups?.['target'] as string;
    if (/^[a-z]+:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(ROOT, paper) : join(ROOT, dirname(paper), path);
    if (!existsSync(file)) {
      found.push(`${paper}:${lineOf(text, match.index)}: ${target} does not exist.`);
    } else if (anchor !== undefined && file.endsWith('.md') && !anchors(file).has(anchor)) {
      found.push(`${paper}:${lineOf(text, match.index)}: ${relative(ROOT, file)} has no heading #${anchor}.`);
    }
  }
  return found;
}

/** The paper with every cut block renewed. */
export function renewed(paper: string): string {
  return withMeasuredTables(readFileSync(join(ROOT, paper), 'utf8')).replace(
    BLOCK,
    (block: string, ...rest: unknown[]) => {
      const { source, region } = rest.at(-1) as { source?: string; region?: string };
      if (source === undefined) return block;
      return `${block.slice(0, block.indexOf('```ts\n'))}\`\`\`ts\n${cut(source, region)}\`\`\``;
    },
  );
}

function cut(source: string, region: string | undefined): string {
  const text = readFileSync(join(ROOT, source), 'utf8');
  if (region === undefined) return text;
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.trim() === `// #region ${region}`);
  const end = lines.findIndex((line, index) => index > start && line.trim() === '// #endregion');
  if (start < 0 || end < 0) throw new Error(`${source} has no region "${region}".`);
  const body = lines.slice(start + 1, end);
  const indents = body.filter((line) => line.trim() !== '').map((line) => line.search(/\S/));
  const indent = Math.min(...indents);
  return body.map((line) => `${line.slice(indent)}\n`).join('');
}

function withoutCode(text: string): string {
  // Blanks of the same length, so that positions stay those of the text.
  return text.replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, (code) => code.replaceAll(/[^\n]/g, ' '));
}

function anchors(file: string): Set<string> {
  const headings = readFileSync(file, 'utf8').matchAll(/^#{1,6} (.+)$/gm);
  return new Set(
    Array.from(headings, ([, title = '']) =>
      title
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}

if (import.meta.main) {
  const all = papers();
  if (process.argv.includes('--write')) {
    for (const paper of all) writeFileSync(join(ROOT, paper), renewed(paper));
  }
  const found = all.flatMap((paper) => findings(paper));
  for (const finding of found) console.error(finding);
  if (found.length > 0) process.exitCode = 1;
  console.log(`${all.length} papers, ${found.length} findings.`);
}
