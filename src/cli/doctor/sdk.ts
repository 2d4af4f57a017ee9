import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Report } from './finding.ts';

/** The minor version of the SDK that this version of strongroom was tested with. */
export const TESTED_SDK = '0.20';

/** The SDK that the configuration would load. */
export function checkSdk(configFile: string, report: Report): void {
  const version = versionOf(configFile);
  if (version === undefined) {
    report(
      'note',
      'sdk.missing',
      '@openai/agents is not installed beside the configuration.',
      'Install it where the application runs.',
    );
  } else if (!version.startsWith(`${TESTED_SDK}.`)) {
    report(
      'warning',
      'sdk.version',
      `@openai/agents ${version} is installed; this version of strongroom was tested with ${TESTED_SDK}.`,
      'Use the tested version, or a version of strongroom that was tested with yours.',
    );
  }
}

/** The package does not export its manifest, so its folder is looked for from its main file upwards. */
function versionOf(configFile: string): string | undefined {
  let folder: string;
  try {
    folder = dirname(createRequire(configFile).resolve('@openai/agents'));
  } catch {
    return undefined;
  }
  for (;;) {
    const file = join(folder, 'package.json');
    if (existsSync(file)) {
      const { name, version } = JSON.parse(readFileSync(file, 'utf8')) as { name?: string; version?: string };
      if (name === '@openai/agents') return version;
    }
    const above = dirname(folder);
    if (above === folder) return undefined;
    folder = above;
  }
}
