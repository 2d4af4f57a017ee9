import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { openersOf, type Config, type Opened } from '../config/define-config.ts';
import type { ReceiptKey } from '../operations/erasure/jws.ts';
import { messageWithCauses } from './causes.ts';
import { CommandError, ofTheConfiguration } from './exit-codes.ts';
import { isCommonJs } from './is-common-js.ts';

/** In this order. */
export const NAMES: readonly string[] = ['ts', 'mts', 'mjs', 'js'].map(
  (extension) => `strongroom.config.${extension}`,
);

/** A loaded configuration. */
export interface LoadedConfig {
  readonly file: string;
  readonly config: Config;
  /** @param keyless Without reading any key: only for work that needs none. */
  readonly open: (keyless: boolean) => Opened;
  readonly receiptKey: () => ReceiptKey | undefined;
}

/**
 * @param given The option `--config`.
 * @throws {@link CommandError} `USAGE`.
 */
export async function loadConfig(given: string | undefined, folder: string): Promise<LoadedConfig> {
  const file = findConfig(given, folder);
  if (/\.[mc]?ts$/.test(file) && !process.features.typescript) {
    throw new CommandError(
      'USAGE',
      `${file} is TypeScript, and Node.js ${process.versions.node} does not run it. Use Node.js 22.18 or later, or write the configuration as strongroom.config.mjs.`,
    );
  }
  if (/\.[jt]s$/.test(file) && isCommonJs(dirname(file))) {
    throw new CommandError(
      'USAGE',
      `${file} is CommonJS for Node.js, because the package.json of its folder has "type": "commonjs". Rename it to end in .m${file.slice(-2)}, or set "type": "module".`,
    );
  }
  const loaded = (await importConfig(file)) as { readonly default?: unknown };
  const openers = openersOf(loaded.default);
  if (openers === 'foreign') {
    throw new CommandError(
      'USAGE',
      `${file} uses another copy of strongroom than this command. Run the one of the project: npx strongroom.`,
    );
  }
  if (openers === undefined) {
    throw new CommandError(
      'USAGE',
      `${file} has no configuration as its default export. Write: export default defineConfig({ … }).`,
    );
  }
  return {
    file,
    config: loaded.default as Config,
    open: (keyless) => ofTheConfiguration(() => openers.open(keyless)),
    receiptKey: () => ofTheConfiguration(() => openers.receiptKey()),
  };
}

function findConfig(given: string | undefined, folder: string): string {
  const candidates = given === undefined ? NAMES : [given];
  const found = candidates.map((name) => resolve(folder, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new CommandError(
    'USAGE',
    given === undefined
      ? `This folder has no ${NAMES[0]} (or .mts, .mjs, .js). Make one with "strongroom init", or name it with --config.`
      : `The configuration ${given} does not exist. Correct --config.`,
  );
}

async function importConfig(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    throw new CommandError('USAGE', `${file} cannot be loaded: ${messageWithCauses(error)}`);
  }
}
