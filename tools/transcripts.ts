/**
 * Runs the commands of the papers against the service of `examples/service` and compares what they print, or with `--write` renews
 * it. A transcript is a `console` block behind `<!-- transcript: service -->`: a line that begins with `$ ` is a command, with the
 * lines that continue it behind a `\`; what follows is its output. Each paper has a service of its own. Ids that differ in each run
 * are written as fixed ones, in the order in which they appear, and are replaced in the commands that use them.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { papers } from './papers.ts';
import { settings, startService, token } from './service-process.ts';

const ROOT = resolve(import.meta.dirname, '..');
const BLOCK = /(?<=<!-- transcript: service -->\n```console\n)[\s\S]*?(?=```)/g;
const UUID = /[\da-f]{8}-[\da-f]{4}-(?<version>[47])[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}/g;

/** The papers that have transcripts. */
export function papersWithTranscripts(): string[] {
  return papers().filter((paper) => readFileSync(join(ROOT, paper), 'utf8').search(BLOCK) >= 0);
}

/** The paper with what its commands print now. */
export async function withTranscripts(paper: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-transcript-'));
  const environment = settings();
  const service = await startService({ ...environment, DATABASE_URL: join(folder, 'conversations.db') });
  const ids = fixedIds();
  const [ada, bo] = ['ada', 'bo'].map((user) => token(environment, 'acme', user));
  const env = { ...process.env, TOKEN: ada, BO: bo };
  const execute = (command: string): string => {
    const { status, stdout, stderr } = spawnSync(
      'bash',
      ['-c', ids.real(command).replaceAll('localhost:3000', `127.0.0.1:${service.port}`)],
      {
        env,
        encoding: 'utf8',
        timeout: 60_000,
      },
    );
    if (status !== 0) throw new Error(`${paper}: ${command} ended with ${status}. ${stderr}`);
    return ids.fixed(stdout.trim());
  };
  try {
    return readFileSync(join(ROOT, paper), 'utf8').replaceAll(BLOCK, (block) =>
      commandsOf(block)
        .map((command) => `$ ${command}\n${execute(command)}\n`)
        .join(''),
    );
  } finally {
    await service.end('SIGTERM');
    rmSync(folder, { recursive: true, force: true });
  }
}

function commandsOf(block: string): string[] {
  return Array.from(block.matchAll(/^\$ ((?:.*\\\n)*.*)$/gm), ([, command = '']) => command);
}

interface FixedIds {
  fixed(text: string): string;
  real(text: string): string;
}

function fixedIds(): FixedIds {
  const fixedOf = new Map<string, string>();
  return {
    fixed: (text) =>
      text.replaceAll(UUID, (id, version: string) => {
        const known = fixedOf.get(id) ?? fixedId(version, fixedOf.size + 1);
        fixedOf.set(id, known);
        return known;
      }),
    real: (text) => text.replaceAll(UUID, (id) => [...fixedOf].find(([, fixed]) => fixed === id)?.[0] ?? id),
  };
}

function fixedId(version: string, number: number): string {
  return `01980000-0000-${version}000-8000-${String(number).padStart(12, '0')}`;
}

if (import.meta.main) {
  let different = 0;
  const all = papersWithTranscripts();
  for (const paper of all) {
    const path = join(ROOT, paper);
    const now = await withTranscripts(paper);
    if (process.argv.includes('--write')) writeFileSync(path, now);
    if (readFileSync(path, 'utf8') === now) continue;
    different++;
    console.error(
      `${paper}: its commands print something else now. Run \`npm run docs:cut\`, and look at the difference.`,
    );
  }
  if (different > 0 || all.length === 0) process.exitCode = 1;
  console.log(`${all.length} papers with transcripts, ${different} differ.`);
}
