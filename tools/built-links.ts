/** Checks the documentation that `typedoc` built: every relative link leads to a file and a heading of it, and nothing is loaded from a network. */
import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const BUILT = resolve(import.meta.dirname, '..', 'docs', 'api');

/** The findings of one page. */
function findings(page: string): string[] {
  const text = readFileSync(join(BUILT, page), 'utf8');
  const found: string[] = [];
  for (const [, tag = '', attribute = '', raw = ''] of text.matchAll(/<(\w+)[^>]*?\s(href|src)="([^"]*)"/g)) {
    const target = raw.replaceAll('&amp;', '&');
    if (/^[a-z]+:/.test(target)) {
      if (attribute === 'src' || tag === 'link') found.push(`${page}: loads ${target}.`);
      continue;
    }
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? join(BUILT, page) : join(BUILT, dirname(page), decodeURIComponent(path));
    if (!existsSync(file) || !statSync(file).isFile()) found.push(`${page}: ${target} does not exist.`);
    else if (anchor !== undefined && anchor !== '' && !idsOf(file).has(decodeURIComponent(anchor))) {
      found.push(`${page}: ${target} has no such heading.`);
    }
  }
  return found;
}

const known = new Map<string, ReadonlySet<string>>();

function idsOf(file: string): ReadonlySet<string> {
  const ids =
    known.get(file) ??
    new Set(Array.from(readFileSync(file, 'utf8').matchAll(/\sid="([^"]*)"/g), ([, id = '']) => id));
  known.set(file, ids);
  return ids;
}

const pages = globSync('**/*.html', { cwd: BUILT }).toSorted();
const found = pages.flatMap(findings);
for (const finding of new Set(found)) console.error(finding);
if (found.length > 0 || pages.length === 0) process.exitCode = 1;
console.log(`${pages.length} built pages, ${found.length} findings.`);
