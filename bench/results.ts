import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import type { Panel } from './group.ts';
import { plot } from './plot.ts';

const ROOT = resolve(import.meta.dirname, '..');
export const RESULTS: string = resolve(import.meta.dirname, 'results');

/** Where and with what a group was measured. */
export interface Environment {
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
  readonly rounds: number;
}

/** One run of one group, as it is kept in `bench/results/<group>.json`. */
export interface GroupResults {
  readonly group: string;
  readonly title: string;
  readonly note: string;
  readonly environment: Environment;
  readonly panels: readonly Panel[];
}

/** @param packages The packages whose version matters. */
export function environment(rounds: number, packages: readonly string[] = []): Environment {
  const processor = cpus();
  const ofPackages = ['@openai/agents', ...packages].map((name) => {
    const manifest = readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8');
    return [name, (JSON.parse(manifest) as { version: string }).version] as const;
  });
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: `${processor.length} x ${processor[0]?.model ?? 'unknown processor'}, ${process.platform} ${process.arch}`,
    versions: {
      strongroom: version,
      node: process.versions.node,
      openssl: process.versions.openssl,
      ...Object.fromEntries(ofPackages),
    },
    rounds,
  };
}

/** Writes the numbers and the plot of a group. */
export function writeResults(results: GroupResults, folder: string = RESULTS): void {
  const json = JSON.stringify(results, rounded, 2);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${results.group}.json`), `${json}\n`);
  writeFileSync(join(folder, `${results.group}.svg`), plot(JSON.parse(json) as GroupResults));
}

/** Four digits are more precise than the measurement. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(4)) : value;
}
