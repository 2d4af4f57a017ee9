import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  interface ProvidedContext {
    /** The folder of what test files copy: see template.ts. */
    templates: string;
  }
}

export default async function templatesFolder(project: TestProject): Promise<() => Promise<void>> {
  const folder = await mkdtemp(join(tmpdir(), 'strongroom-templates-'));
  // PostgreSQL works in it as a user of its own.
  await chmod(folder, 0o755);
  project.provide('templates', folder);
  return () => rm(folder, { recursive: true, force: true });
}
